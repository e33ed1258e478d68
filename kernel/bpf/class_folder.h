// SPDX-License-Identifier: Apache-2.0
// The loaded class's folder in bpffs, held open: while somebody holds it, bpffs cannot be unmounted
// (EBUSY), and where it is torn away all the same (umount --lazy) the class stays in charge until
// it is let go. A class without pins is one that no later corrald finds, so its holder should
// replace it then.
#ifndef CORRAL_KERNEL_BPF_CLASS_FOLDER_H_
#define CORRAL_KERNEL_BPF_CLASS_FOLDER_H_

#include "kernel/fd.h"

namespace corral {

class ClassFolder {
 public:
  // That of the class which is loaded now. Where there is none, nothing is held.
  static ClassFolder Hold();

  // What is held has no path any more, or another one is there in its place.
  bool IsCutOff() const;

 private:
  Fd fd_;
};

// Mounts bpffs where it belongs, unless it is there, or this process may not. LoadClass() says so
// where it is missing.
void MountBpffsIfGone();

}  // namespace corral

#endif  // CORRAL_KERNEL_BPF_CLASS_FOLDER_H_
