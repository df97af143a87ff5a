#include "CTSK.h"

#include <stdlib.h>

struct image {
    // libtsk takes what follows for its own structure, so this comes first.
    TSK_IMG_INFO info;
    ctsk_read_function read;
};

static ssize_t read_image(TSK_IMG_INFO *info, TSK_OFF_T offset, char *buffer, size_t count) {
    return ((struct image *)info)->read(offset, buffer, count);
}

static void close_image(TSK_IMG_INFO *info) { (void)info; }

static void describe_image(TSK_IMG_INFO *info, FILE *file) {
    (void)info;
    (void)file;
}

/// libtsk walks over all inodes to find deleted files whenever it opens a folder of NTFS for the first time. Nobody asks for those here, and on
/// a large volume it takes minutes.
static uint8_t walk_nothing(TSK_FS_INFO *fs, TSK_INUM_T start, TSK_INUM_T end, TSK_FS_META_FLAG_ENUM flags,
                            TSK_FS_META_WALK_CB callback, void *context) {
    (void)fs, (void)start, (void)end, (void)flags, (void)callback, (void)context;
    return 0;
}

TSK_FS_INFO *ctsk_open(int64_t size, unsigned sector_size, TSK_FS_TYPE_ENUM type, ctsk_read_function read,
                       uint64_t *block_count) {
    struct image *image = calloc(1, sizeof *image);
    if (!image) return NULL;
    image->read = read;
    if (!tsk_img_open_external(image, size, sector_size, read_image, close_image, describe_image)) return NULL;
    TSK_FS_INFO *fs = tsk_fs_open_img(&image->info, 0, type);
    if (!fs) return NULL;
    fs->inode_walk = walk_nothing;
    *block_count = fs->block_count;
    // A hole of a sparse file may be longer than the volume; libtsk takes that for damage. What lies past the end is refused by whoever reads.
    if (type == TSK_FS_TYPE_NTFS) fs->last_block = fs->block_count = (TSK_DADDR_T)1 << 48;
    return fs;
}

ssize_t ctsk_read(TSK_FS_INFO *fs, int64_t offset, char *buffer, size_t count) {
    return tsk_img_read(fs->img_info, offset, buffer, count);
}
