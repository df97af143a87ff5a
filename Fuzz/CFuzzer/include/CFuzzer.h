// libFuzzer as a library (llvm/lib/Fuzzer/FuzzerInterface.h): SwiftPM makes `main` itself.
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*UserCb)(const uint8_t *data, size_t size));
