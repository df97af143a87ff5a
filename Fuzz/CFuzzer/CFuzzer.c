#include "CFuzzer.h"

// libFuzzer's own `main`, which SwiftPM's goes before, is linked all the same and wants this.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    (void)data;
    (void)size;
    return -1;
}
