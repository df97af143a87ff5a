/* fuselimit: the least FUSE server that can show one file, to measure what FUSE itself costs.
 *
 * It speaks the protocol of /dev/fuse by itself (no libfuse) and does nothing for a read but pread and writev, with one
 * buffer for each thread. So a FUSE server that does more, as one must that translates an image, can hardly be faster.
 * Only for measuring: it needs root, and trusts whoever reads.
 *
 *   cc -O2 -pthread -o fuselimit fuselimit.c
 *   fuselimit [options] FILE MOUNTPOINT     shows MOUNTPOINT/disk until it is unmounted
 *     -m buf|mmap|pass   pread into a buffer; writev from a mapping of FILE; let the kernel read FILE (passthrough)
 *     -t N               threads (1)
 *     -k                 keep the page cache over close and open (FOPEN_KEEP_CACHE)
 *     -b KB              read-ahead; the kernel never offers more than 128 to a server that only asks in INIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

/* Newer than the linux/fuse.h of Debian 12. */
#define INIT_EXT (1u << 30)
#define FLAGS2_PASSTHROUGH (1u << (37 - 32))
#define OPEN_PASSTHROUGH (1u << 7)
struct backing_map { int32_t fd; uint32_t flags; uint64_t padding; };
#define IOC_BACKING_OPEN _IOW(229, 1, struct backing_map)

enum { MAX_PAGES = 256, MAX_REQUEST = MAX_PAGES * 4096, DISK = 2, VALID = 3600, MAX_THREADS = 64 };

static enum { BUF, MMAP, PASS } mode = BUF;
static int threads = 1, keep_cache, read_ahead_kb;
static int file, device, backing_id;
static uint64_t size;
static const char *mapping, *mount_point;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void reply(uint64_t request, int error, const void *data, size_t length)
{
	struct fuse_out_header header = { .len = sizeof header + length, .error = -error, .unique = request };
	struct iovec parts[2] = { { &header, sizeof header }, { (void *)data, length } };
	/* ENOENT: the request was interrupted, so that nobody waits for the answer. */
	if (writev(device, parts, length ? 2 : 1) < 0 && errno != ENOENT && errno != EINTR)
		perror("writev");
}

static void set_attributes(struct fuse_attr *attributes, uint64_t node)
{
	memset(attributes, 0, sizeof *attributes);
	attributes->ino = node;
	attributes->blksize = 4096;
	attributes->nlink = node == DISK ? 1 : 2;
	attributes->mode = node == DISK ? S_IFREG | 0444 : S_IFDIR | 0755;
	if (node == DISK) {
		attributes->size = size;
		attributes->blocks = size / 512;
	}
}

static void do_init(uint64_t request, const struct fuse_init_in *in)
{
	struct fuse_init_out out = {
		.major = 7, .minor = 40, .max_readahead = in->max_readahead, .max_background = 64, .congestion_threshold = 48,
		.max_write = MAX_REQUEST, .time_gran = 1, .max_pages = MAX_PAGES,
		.flags = FUSE_BIG_WRITES | FUSE_MAX_PAGES | FUSE_ASYNC_READ | FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS | INIT_EXT,
	};
	if (mode == PASS) {
		out.flags2 |= FLAGS2_PASSTHROUGH;
		out.unused[0] = 1; /* max_stack_depth in newer headers */
	}
	reply(request, 0, &out, sizeof out);
}

static void do_open(uint64_t request, int folder)
{
	struct fuse_open_out out = { .open_flags = keep_cache && !folder ? FOPEN_KEEP_CACHE : 0 };
	if (mode == PASS && !folder) {
		if (!backing_id) {
			struct backing_map map = { .fd = file };
			backing_id = ioctl(device, IOC_BACKING_OPEN, &map);
			if (backing_id <= 0)
				fail("FUSE_DEV_IOC_BACKING_OPEN");
		}
		out.open_flags |= OPEN_PASSTHROUGH;
		out.padding = backing_id; /* backing_id in newer headers */
	}
	reply(request, 0, &out, sizeof out);
}

static void do_read(uint64_t request, const struct fuse_read_in *in, char *buffer)
{
	uint64_t rest = in->offset < size ? size - in->offset : 0;
	uint64_t length = in->size < rest ? in->size : rest;
	if (mode == MMAP) {
		reply(request, 0, mapping + in->offset, length);
		return;
	}
	for (uint64_t done = 0; done < length;) {
		ssize_t count = pread(file, buffer + done, length - done, in->offset + done);
		if (count <= 0) {
			reply(request, EIO, NULL, 0);
			return;
		}
		done += count;
	}
	reply(request, 0, buffer, length);
}

static void answer(const struct fuse_in_header *header, const void *body, char *buffer)
{
	uint64_t request = header->unique;
	struct fuse_entry_out entry = { .nodeid = DISK, .attr_valid = VALID, .entry_valid = VALID };
	struct fuse_attr_out attributes = { .attr_valid = VALID };
	struct fuse_statfs_out statistics = { .st = { .bsize = 4096, .namelen = 255 } };

	switch (header->opcode) {
	case FUSE_INIT: do_init(request, body); break;
	case FUSE_OPEN: do_open(request, 0); break;
	case FUSE_OPENDIR: do_open(request, 1); break;
	case FUSE_READ: do_read(request, body, buffer); break;
	case FUSE_LOOKUP:
		set_attributes(&entry.attr, DISK);
		if (header->nodeid == FUSE_ROOT_ID && !strcmp(body, "disk"))
			reply(request, 0, &entry, sizeof entry);
		else
			reply(request, ENOENT, NULL, 0);
		break;
	case FUSE_GETATTR:
		set_attributes(&attributes.attr, header->nodeid);
		reply(request, 0, &attributes, sizeof attributes);
		break;
	case FUSE_STATFS: reply(request, 0, &statistics, sizeof statistics); break;
	case FUSE_READDIR: case FUSE_RELEASE: case FUSE_RELEASEDIR: case FUSE_FLUSH: case FUSE_ACCESS: case FUSE_DESTROY:
		reply(request, 0, NULL, 0);
		break;
	case FUSE_FORGET: case FUSE_BATCH_FORGET: case FUSE_INTERRUPT: break; /* these want no answer */
	default: reply(request, ENOSYS, NULL, 0);
	}
}

static void *serve(void *unused)
{
	/* Buffers that stay: fresh ones would fault in all their pages at each request. */
	size_t room = MAX_REQUEST + 65536;
	char *in = aligned_alloc(4096, room), *buffer = aligned_alloc(4096, room);
	(void)unused;
	for (;;) {
		ssize_t length = read(device, in, room);
		if (length >= 0)
			answer((void *)in, in + sizeof(struct fuse_in_header), buffer);
		else if (errno == ENODEV) /* unmounted */
			return NULL;
		else if (errno != EINTR && errno != ENOENT && errno != EAGAIN)
			fail("read");
	}
}

/* Only the administrator's file raises read-ahead over 128 KiB. Asking for the mount's number needs the threads' answers. */
static void set_read_ahead(void)
{
	struct stat status;
	char path[96];
	if (stat(mount_point, &status))
		fail(mount_point);
	snprintf(path, sizeof path, "/sys/class/bdi/%u:%u/read_ahead_kb", major(status.st_dev), minor(status.st_dev));
	FILE *setting = fopen(path, "w");
	if (!setting || fprintf(setting, "%d", read_ahead_kb) < 0 || fclose(setting))
		fail(path);
}

int main(int count, char **words)
{
	for (int option; (option = getopt(count, words, "m:t:kb:")) != -1;)
		switch (option) {
		case 'm': mode = *optarg == 'b' ? BUF : *optarg == 'm' ? MMAP : PASS; break;
		case 't': threads = atoi(optarg); break;
		case 'k': keep_cache = 1; break;
		case 'b': read_ahead_kb = atoi(optarg); break;
		default: return 64;
		}
	if (count - optind != 2 || threads < 1 || threads > MAX_THREADS) {
		fprintf(stderr, "usage: fuselimit [-m buf|mmap|pass] [-t N] [-k] [-b KB] FILE MOUNTPOINT\n");
		return 64;
	}

	file = open(words[optind], O_RDONLY);
	if (file < 0)
		fail(words[optind]);
	size = lseek(file, 0, SEEK_END);
	if (mode == MMAP) {
		mapping = mmap(NULL, size, PROT_READ, MAP_SHARED, file, 0);
		if (mapping == MAP_FAILED)
			fail("mmap");
	}

	mount_point = words[optind + 1];
	device = open("/dev/fuse", O_RDWR);
	if (device < 0)
		fail("/dev/fuse");
	char options[160];
	snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,max_read=%d", device, MAX_REQUEST);
	if (mount("fuselimit", mount_point, "fuse", MS_NOSUID | MS_NODEV | MS_RDONLY, options))
		fail("mount");

	pthread_t all[MAX_THREADS];
	for (int i = 0; i < threads; i++)
		pthread_create(&all[i], NULL, serve, NULL);
	if (read_ahead_kb)
		set_read_ahead();
	for (int i = 0; i < threads; i++)
		pthread_join(all[i], NULL);
	return 0;
}
