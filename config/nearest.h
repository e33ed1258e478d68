// SPDX-License-Identifier: Apache-2.0
// The word that somebody probably meant.
#ifndef CORRAL_CONFIG_NEAREST_H_
#define CORRAL_CONFIG_NEAREST_H_

#include <string>
#include <vector>

namespace corral {

// Advice for a word that is none of `words`: "did you mean "X"?" if one takes few insertions,
// deletions and changes of letters to get to, otherwise "there are: X, Y".
std::string Advice(const std::string& word, const std::vector<std::string>& words);

}  // namespace corral

#endif  // CORRAL_CONFIG_NEAREST_H_
