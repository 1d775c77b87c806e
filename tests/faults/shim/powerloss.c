/*
 * Models power loss and failing disks for one directory of one process (LD_PRELOAD).
 *
 * The page cache survives SIGKILL but not power loss. This library therefore keeps a shadow copy of the watched
 * directory that holds, for every file, only what fsync or fdatasync has confirmed: data written since then waits in
 * memory and dies with the process. Starting again from the shadow copy is starting after power loss.
 *
 *   POWERLOSS_DIR      the watched directory, an absolute path without symbolic links
 *   POWERLOSS_SHADOW   its durable copy; the caller fills it with what is durable at the start
 *   POWERLOSS_CONTROL  a file that holds struct control, mapped here and in the test
 *
 * Renaming and deleting take effect in the shadow at once, the earliest a journalling file system may do them: a
 * program that renames before it syncs the content is caught. A failed fsync drops what it should have written, as
 * Linux does. Left out: -shm files (no durable state), shared writable mappings, writes by splice or copy_file_range.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The same layout as FIELDS in tests/faults/disk.py. The first four are orders, the others are what happened. */
struct control {
    _Atomic int64_t passes;     /* syncs that may still pass the gate, the others wait; -1 for no limit */
    _Atomic int64_t space;      /* bytes that may still be written, -1 for no limit */
    _Atomic int64_t sync_fails; /* 1: every sync fails with EIO */
    _Atomic int64_t sync_delay; /* milliseconds added to every sync */
    _Atomic int64_t at_gate;    /* syncs that wait now */
    _Atomic int64_t syncs;      /* syncs that succeeded */
    _Atomic int64_t failures;   /* writes and syncs that were made to fail */
};

struct change { /* a write not yet synced */
    struct change *next;
    off_t offset;
    size_t size;
    char data[];
};

struct file {
    struct file *next;
    dev_t device;
    ino_t inode;
    char path[PATH_MAX]; /* below the watched directory, with a leading slash */
    struct change *first, **last;
};

static struct control *control;
static char watched[PATH_MAX], shadow[PATH_MAX];
static struct file *files;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);
    if (!function)
        abort();
    return function;
}

/* Called by the loader, and once more by a fork that is given its variables later. */
__attribute__((constructor)) void powerloss_start(void)
{
    const char *directory = getenv("POWERLOSS_DIR"), *copy = getenv("POWERLOSS_SHADOW");
    const char *orders = getenv("POWERLOSS_CONTROL");
    if (!directory || !copy || !orders)
        return;
    snprintf(watched, sizeof watched, "%s", directory);
    snprintf(shadow, sizeof shadow, "%s", copy);
    int fd = open(orders, O_RDWR | O_CLOEXEC);
    void *map = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        fprintf(stderr, "powerloss: cannot map %s\n", orders);
        _exit(125);
    }
    close(fd);
    control = map;
}

/* ---- which files are watched ---- */

static const char *below_watched(const char *path)
{
    size_t length = strlen(watched);
    if (strncmp(path, watched, length) != 0 || path[length] != '/')
        return NULL;
    size_t end = strlen(path);
    if (end > 4 && strcmp(path + end - 4, "-shm") == 0)
        return NULL;
    return path + length;
}

static struct file *known(dev_t device, ino_t inode)
{
    for (struct file *file = files; file; file = file->next)
        if (file->device == device && file->inode == inode)
            return file;
    return NULL;
}

static struct file *add_file(const struct stat *status, const char *path)
{
    struct file *file = calloc(1, sizeof *file);
    if (!file)
        abort();
    file->device = status->st_dev;
    file->inode = status->st_ino;
    snprintf(file->path, sizeof file->path, "%s", path);
    file->last = &file->first;
    file->next = files;
    return files = file;
}

/* The watched file behind a descriptor, or NULL. Holds the lock when it returns one. */
static struct file *lock_file(int fd)
{
    struct stat status;
    char link[64], path[PATH_MAX];
    if (!control || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        return NULL;
    pthread_mutex_lock(&lock);
    struct file *file = known(status.st_dev, status.st_ino);
    if (file)
        return file;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    const char *name = status.st_nlink > 0 ? below_watched(path) : NULL;
    if (name)
        return add_file(&status, name);
    pthread_mutex_unlock(&lock);
    return NULL;
}

static int is_watched(int fd)
{
    int saved = errno;
    struct file *file = lock_file(fd);
    if (file)
        pthread_mutex_unlock(&lock);
    errno = saved;
    return file != NULL;
}

/* ---- changes that wait for a sync ---- */

static void drop_changes(struct file *file)
{
    for (struct change *change = file->first, *next; change; change = next) {
        next = change->next;
        free(change);
    }
    file->first = NULL;
    file->last = &file->first;
}

static void remember(int fd, off_t offset, const struct iovec *parts, int count, size_t size)
{
    int saved = errno;
    struct file *file = lock_file(fd);
    if (file) {
        struct change *change = malloc(sizeof *change + size);
        if (!change)
            abort();
        *change = (struct change){.offset = offset, .size = size};
        size_t done = 0;
        for (int i = 0; i < count && done < size; i++) {
            size_t part = parts[i].iov_len < size - done ? parts[i].iov_len : size - done;
            memcpy(change->data + done, parts[i].iov_base, part);
            done += part;
        }
        *file->last = change;
        file->last = &change->next;
        pthread_mutex_unlock(&lock);
    }
    errno = saved;
}

static void shadow_path(char *path, const char *name)
{
    if (snprintf(path, PATH_MAX, "%s%s", shadow, name) >= PATH_MAX)
        abort();
}

static int open_shadow(const char *name)
{
    char path[PATH_MAX];
    shadow_path(path, name);
    for (char *slash = path + strlen(shadow) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = 0;
        mkdir(path, 0700);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        abort();
    return fd;
}

static void make_durable(struct file *file, off_t size)
{
    int fd = open_shadow(file->path);
    for (struct change *change = file->first; change; change = change->next)
        if (REAL(pwrite)(fd, change->data, change->size, change->offset) != (ssize_t)change->size)
            abort();
    if (ftruncate(fd, size) != 0)
        abort();
    close(fd);
    drop_changes(file);
}

/* ---- orders ---- */

static void pause_ms(int64_t milliseconds)
{
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* Takes up to an amount from what is left; all of it when there is no limit. */
static int64_t take(_Atomic int64_t *left, int64_t amount)
{
    int64_t now = *left, taken;
    do {
        if (now < 0)
            return amount;
        taken = now < amount ? now : amount;
    } while (!atomic_compare_exchange_weak(left, &now, now - taken));
    return taken;
}

static void wait_for_orders(void)
{
    control->at_gate++;
    while (take(&control->passes, 1) == 0)
        pause_ms(1);
    control->at_gate--;
    if (control->sync_delay > 0)
        pause_ms(control->sync_delay);
}

static int fail(int code)
{
    control->failures++;
    errno = code;
    return -1;
}

/* ---- sync ---- */

static int sync_file(int fd, int (*real_sync)(int))
{
    if (!is_watched(fd))
        return real_sync(fd);
    wait_for_orders();
    struct file *file = lock_file(fd);
    struct stat status;
    if (!file || fstat(fd, &status) != 0)
        abort();
    int fails = control->sync_fails != 0;
    if (fails)
        drop_changes(file);
    else
        make_durable(file, status.st_size);
    pthread_mutex_unlock(&lock);
    if (fails)
        return fail(EIO);
    control->syncs++;
    return real_sync(fd);
}

int fsync(int fd)
{
    return sync_file(fd, REAL(fsync));
}

int fdatasync(int fd)
{
    return sync_file(fd, REAL(fdatasync));
}

/* ---- write ---- */

/* How much of a write the disk has room for: all, a part, or -1 with ENOSPC. */
static ssize_t reserve(int fd, size_t size)
{
    if (!is_watched(fd))
        return (ssize_t)size;
    ssize_t room = (ssize_t)take(&control->space, (int64_t)size);
    return room == 0 && size > 0 ? fail(ENOSPC) : room;
}

static ssize_t remembered(int fd, off_t offset, const void *data, ssize_t written)
{
    struct iovec part = {(void *)data, written > 0 ? (size_t)written : 0};
    if (written > 0)
        remember(fd, offset, &part, 1, (size_t)written);
    return written;
}

/* Where a write that moved the file position began; meaningless, and unused, for what is no file. */
static off_t began(int fd, ssize_t written)
{
    int saved = errno;
    off_t offset = lseek(fd, 0, SEEK_CUR) - written;
    errno = saved;
    return offset;
}

ssize_t write(int fd, const void *data, size_t size)
{
    ssize_t room = reserve(fd, size);
    if (room < 0)
        return -1;
    ssize_t written = REAL(write)(fd, data, (size_t)room);
    return is_watched(fd) ? remembered(fd, began(fd, written), data, written) : written;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    ssize_t room = reserve(fd, size);
    return room < 0 ? -1 : remembered(fd, offset, data, REAL(pwrite)(fd, data, (size_t)room, offset));
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
    return pwrite(fd, data, size, (off_t)offset);
}

static size_t total(const struct iovec *parts, int count)
{
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += parts[i].iov_len;
    return size;
}

/* A vector that does not fit is refused whole: shorter than a real disk allows, but never more. */
static int fits(int fd, const struct iovec *parts, int count)
{
    size_t size = total(parts, count);
    ssize_t room = reserve(fd, size);
    if (room < 0 || (size_t)room == size)
        return room >= 0;
    fail(ENOSPC);
    return 0;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    if (!is_watched(fd))
        return REAL(writev)(fd, parts, count);
    if (!fits(fd, parts, count))
        return -1;
    ssize_t written = REAL(writev)(fd, parts, count);
    if (written > 0)
        remember(fd, began(fd, written), parts, count, (size_t)written);
    return written;
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    if (!fits(fd, parts, count))
        return -1;
    ssize_t written = REAL(pwritev)(fd, parts, count, offset);
    if (written > 0)
        remember(fd, offset, parts, count, (size_t)written);
    return written;
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset)
{
    return pwritev(fd, parts, count, (off_t)offset);
}

/* ---- names ---- */

/* The path below the watched directory of a name, which need not exist; 0 when it is elsewhere. */
static int name_below(int directory, const char *name, char *below)
{
    char path[PATH_MAX], parent[PATH_MAX], full[PATH_MAX];
    if (name[0] == '/' || directory == AT_FDCWD)
        snprintf(path, sizeof path, "%s%s", name[0] == '/' ? "" : "./", name);
    else
        snprintf(path, sizeof path, "/proc/self/fd/%d/%s", directory, name);
    char *slash = strrchr(path, '/');
    *slash = 0;
    if (!realpath(slash == path ? "/" : path, parent))
        return 0;
    if (snprintf(full, sizeof full, "%s/%s", parent, slash + 1) >= (int)sizeof full)
        abort();
    const char *found = below_watched(full);
    if (found)
        snprintf(below, PATH_MAX, "%s", found);
    return found != NULL;
}

static struct file *known_name(const char *name)
{
    for (struct file *file = files; file; file = file->next)
        if (strcmp(file->path, name) == 0)
            return file;
    return NULL;
}

/* An inode number is used again after its file is deleted, so that a deleted file must not stay known. */
static void forget(const char *name)
{
    for (struct file **place = &files; *place; place = &(*place)->next)
        if (strcmp((*place)->path, name) == 0) {
            struct file *file = *place;
            *place = file->next;
            drop_changes(file);
            free(file);
            return;
        }
}

static void deleted(const char *name)
{
    char path[PATH_MAX];
    shadow_path(path, name);
    forget(name);
    REAL(unlink)(path);
}

static void renamed(const char *from, const char *to)
{
    char old_path[PATH_MAX], new_path[PATH_MAX];
    shadow_path(old_path, from);
    shadow_path(new_path, to);
    close(open_shadow(from)); /* a file never synced is durable as an empty one */
    close(open_shadow(to));   /* and its new place exists */
    if (REAL(rename)(old_path, new_path) != 0)
        abort();
    forget(to);
    struct file *file = known_name(from);
    if (file)
        snprintf(file->path, sizeof file->path, "%s", to);
}

int unlinkat(int directory, const char *name, int flags)
{
    char below[PATH_MAX];
    int saved = errno;
    int found = control && !(flags & AT_REMOVEDIR) && name_below(directory, name, below);
    errno = saved;
    int result = REAL(unlinkat)(directory, name, flags);
    if (result == 0 && found) {
        pthread_mutex_lock(&lock);
        deleted(below);
        pthread_mutex_unlock(&lock);
    }
    return result;
}

int unlink(const char *name)
{
    return unlinkat(AT_FDCWD, name, 0);
}

int renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned int flags)
{
    char old_name[PATH_MAX], new_name[PATH_MAX];
    int saved = errno;
    int leaves = control && name_below(from_directory, from, old_name);
    int enters = control && name_below(to_directory, to, new_name);
    errno = saved;
    if (leaves != enters || (leaves && flags != 0)) {
        fprintf(stderr, "powerloss: renames across the watched directory or with flags are not modelled\n");
        abort();
    }
    int result = REAL(renameat2)(from_directory, from, to_directory, to, flags);
    if (result == 0 && leaves) {
        pthread_mutex_lock(&lock);
        renamed(old_name, new_name);
        pthread_mutex_unlock(&lock);
    }
    return result;
}

int renameat(int from_directory, const char *from, int to_directory, const char *to)
{
    return renameat2(from_directory, from, to_directory, to, 0);
}

int rename(const char *from, const char *to)
{
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}
