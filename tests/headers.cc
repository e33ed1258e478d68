// SPDX-License-Identifier: Apache-2.0
// Nothing: a library must have a source, and the one that reads the libraries' headers for all tests
// (CMakeLists.txt) has no other.
