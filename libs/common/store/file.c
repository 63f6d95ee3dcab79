/* The `file` kind: objects are files below a directory.
 * Tasks write there too, so a path may be a trap: every open resolves beneath the root, symlinks included. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/base.h"
#include "private.h"

enum { DIR_MODE = 0777, FILE_MODE = 0666 };

enum code store_relative(const struct store *s, struct str uri, struct str *ret, struct err *err)
{
	size_t n = strlen(s->root);

	if (uri.len <= n + 1 || memcmp(uri.ptr, s->root, n) != 0 || uri.ptr[n] != '/' || memchr(uri.ptr, 0, uri.len))
		return err_set(err, INVALID_ARGUMENT, "%.*s is not in the store %s", STR_ARG(uri), s->root);
	struct str relative = {uri.ptr + n + 1, uri.len - n - 1}, rest = relative;
	while (rest.ptr) {
		struct str part = str_cut(&rest, '/');
		if (part.len == 0 || part.len > NAME_MAX || str_is(part, ".") || str_is(part, ".."))
			return err_set(err, INVALID_ARGUMENT,
				       "%.*s is no path of the store: it has an empty, overlong, '.' or '..' part",
				       STR_ARG(uri));
	}
	*ret = relative;
	return OK;
}

static enum code code_of_errno(int e)
{
	switch (e) {
	case ENOENT:
	case ENOTDIR: return NOT_FOUND;
	case EXDEV:
	case ELOOP: return INVALID_ARGUMENT;
	case EACCES:
	case EPERM: return PERMISSION_DENIED;
	case ENOSPC:
	case EDQUOT:
	case EMFILE:
	case ENFILE:
	case ENOMEM: return UNAVAILABLE; /* RESOURCE_EXHAUSTED is the object's fault */
	default: return INTERNAL;
	}
}

static enum code fail(struct err *err, const char *what, const char *uri)
{
	int e = errno;

	if (e == EXDEV)
		return err_set(err, INVALID_ARGUMENT, "%s %s: it leads out of the store", what, uri);
	return err_set(err, code_of_errno(e), "%s %s: %s", what, uri, strerror(e));
}

/* Without openat2 (old kernels, some sandboxes): the real path must lie below the root. */
static int open_checked(const struct store *s, const char *relative, int flags)
{
	char real[PATH_MAX];
	int fd = openat(s->root_fd, relative, flags | O_CLOEXEC, FILE_MODE);

	if (fd < 0)
		return -1;
	auto_mem char *link = x_printf("/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, real, sizeof real - 1);
	size_t root = strlen(s->root);
	if (n > (ssize_t)root && memcmp(real, s->root, root) == 0 && real[root] == '/')
		return fd;
	close(fd);
	errno = EXDEV;
	return -1;
}

static int open_beneath(const struct store *s, const char *relative, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.mode = flags & O_CREAT ? FILE_MODE : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, s->root_fd, relative, &how, sizeof how);

	if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
		return (int)fd;
	return open_checked(s, relative, flags);
}

static enum code open_uri(const struct store *s, const char *uri, int flags, int *ret, struct err *err)
{
	struct str relative;
	enum code c = store_relative(s, str_of(uri), &relative, err);
	if (c)
		return c;
	int fd = open_beneath(s, relative.ptr, flags);
	if (fd < 0)
		return fail(err, "cannot open", uri);
	*ret = fd;
	return OK;
}

enum code file_read(const struct store *s, const char *uri, size_t max_bytes, struct buf *ret, struct err *err)
{
	auto_fd int fd = -1;
	struct stat st;
	enum code c = open_uri(s, uri, O_RDONLY | O_NONBLOCK, &fd, err);

	if (c)
		return c;
	if (fstat(fd, &st) != 0)
		return fail(err, "cannot read", uri);
	if (!S_ISREG(st.st_mode))
		return err_set(err, NOT_FOUND, "%s is not a file", uri);
	if ((uint64_t)st.st_size > max_bytes)
		return err_set(err, RESOURCE_EXHAUSTED, "%s has %lld bytes; the limit is %zu", uri,
			       (long long)st.st_size, max_bytes);
	/* One byte more than expected, so that the end shows without another turn. */
	for (size_t want = (size_t)st.st_size + 1;;) {
		ssize_t n = read(fd, buf_reserve(ret, want), want);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(err, "cannot read", uri);
		buf_commit(ret, (size_t)n);
		if (n == 0)
			return OK;
		if (ret->len > max_bytes)
			return err_set(err, RESOURCE_EXHAUSTED, "%s grew over the limit of %zu bytes", uri, max_bytes);
		want = MAX(want - (size_t)n, 1);
	}
}

/* Open the directory that will hold `relative`, making what is missing. */
static enum code open_parent(const struct store *s, const char *uri, struct str relative, int *ret, struct err *err)
{
	auto_mem char *path = x_strndup(relative.ptr, relative.len);
	char *slash = strrchr(path, '/');

	if (!slash) {
		*ret = fcntl(s->root_fd, F_DUPFD_CLOEXEC, 0);
		return *ret < 0 ? fail(err, "cannot open the store for", uri) : OK;
	}
	*slash = '\0';
	int fd = open_beneath(s, path, O_RDONLY | O_DIRECTORY);
	for (char *p = path; fd < 0 && errno == ENOENT && p;) {
		p = strchr(p + 1, '/');
		if (p)
			*p = '\0';
		if (mkdirat(s->root_fd, path, DIR_MODE) != 0 && errno != EEXIST)
			return fail(err, "cannot make the directory of", uri);
		if (p)
			*p = '/';
		else
			fd = open_beneath(s, path, O_RDONLY | O_DIRECTORY);
		errno = fd < 0 ? ENOENT : 0;
	}
	if (fd < 0)
		return fail(err, "cannot open the directory of", uri);
	*ret = fd;
	return OK;
}

static enum code write_all(int fd, struct str data, const char *uri, struct err *err)
{
	while (data.len) {
		ssize_t n = write(fd, data.ptr, data.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(err, "cannot write", uri);
		data.ptr += n;
		data.len -= (size_t)n;
	}
	return OK;
}

/* Write under a name of its own, then move: no reader sees half a file. */
static enum code write_then_rename(const struct store *s, int dir, const char *name, struct str data, const char *uri,
				   struct err *err)
{
	auto_mem char *temporary = x_printf(".%016llx.tmp", (unsigned long long)random_u64());
	auto_fd int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);

	if (fd < 0)
		return fail(err, "cannot create", uri);
	enum code c = write_all(fd, data, uri, err);
	if (!c && s->durable && fdatasync(fd) != 0)
		c = fail(err, "cannot sync", uri);
	if (!c && renameat(dir, temporary, dir, name) != 0)
		c = fail(err, "cannot put in place", uri);
	if (c)
		unlinkat(dir, temporary, 0);
	else if (s->durable)
		fsync(dir);
	return c;
}

enum code file_write(const struct store *s, const char *uri, struct str data, struct err *err)
{
	auto_fd int dir = -1;
	struct str relative;
	enum code c = store_relative(s, str_of(uri), &relative, err);

	if (!c)
		c = open_parent(s, uri, relative, &dir, err);
	return c ? c : write_then_rename(s, dir, strrchr(uri, '/') + 1, data, uri, err);
}

enum code store_remove(struct store *s, const char *uri, struct err *err)
{
	auto_fd int dir = -1;
	auto_mem char *parent = x_strdup(uri);
	char *slash = strrchr(parent, '/');
	struct str relative;
	enum code c = store_relative(s, str_of(uri), &relative, err);

	if (c)
		return c;
	*slash = '\0';
	if (strcmp(parent, s->root) == 0)
		dir = fcntl(s->root_fd, F_DUPFD_CLOEXEC, 0);
	else
		c = open_uri(s, parent, O_RDONLY | O_DIRECTORY, &dir, err);
	if (c)
		return c;
	return unlinkat(dir, slash + 1, 0) == 0 ? OK : fail(err, "cannot remove", uri);
}

enum code store_stat(struct store *s, const char *uri, uint64_t *ret_bytes, struct err *err)
{
	auto_fd int fd = -1;
	struct stat st;
	enum code c = open_uri(s, uri, O_PATH, &fd, err);

	if (c)
		return c;
	if (fstat(fd, &st) != 0)
		return fail(err, "cannot look at", uri);
	if (!S_ISREG(st.st_mode))
		return err_set(err, NOT_FOUND, "%s is not a file", uri);
	*ret_bytes = (uint64_t)st.st_size;
	return OK;
}

enum { MAX_DEPTH = 200 };

static int empty_folder(int fd, int depth);

/* Whatever it is; what is gone already is no error. */
static int remove_entry(int dir, const char *name, int depth)
{
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -1;
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	if (empty_folder(fd, depth + 1) != 0)
		return -1;
	return unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -1;
}

/* Takes the descriptor. */
static int empty_folder(int fd, int depth)
{
	DIR *dir = depth < MAX_DEPTH ? fdopendir(fd) : NULL;
	const struct dirent *entry;
	int failed = 0;

	if (!dir) {
		if (depth >= MAX_DEPTH)
			errno = ENAMETOOLONG;
		close(fd);
		return -1;
	}
	while (!failed && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			failed = remove_entry(dirfd(dir), entry->d_name, depth);
	int e = errno;
	closedir(dir);
	errno = e;
	return failed;
}

enum code store_remove_all(struct store *s, const char *uri, struct err *err)
{
	auto_fd int above = -1;
	int fd = -1;
	enum code c = open_uri(s, uri, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, &fd, err);

	if (c)
		return c == NOT_FOUND ? OK : c;
	above = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (empty_folder(fd, 0) != 0 || unlinkat(above, strrchr(uri, '/') + 1, AT_REMOVEDIR) != 0)
		return fail(err, "cannot remove all of", uri);
	return OK;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum code read_names(DIR *dir, const char *uri, size_t max, struct arena *a, const char ***ret, size_t *ret_n,
			    struct err *err)
{
	VEC(const char *) names = {0};
	enum code c = OK;

	for (const struct dirent *e; !c && (e = readdir(dir));) {
		if (*e->d_name == '.') /* unfinished files of ours too */
			continue;
		if (names.n == max)
			c = err_set(err, RESOURCE_EXHAUSTED, "%s holds more than %zu files", uri, max);
		else
			vec_push(&names, arena_strdup(a, e->d_name));
	}
	if (names.n)
		qsort(names.at, names.n, sizeof *names.at, compare_names);
	*ret = names.n ? arena_dup(a, names.at, names.n * sizeof *names.at) : NULL;
	*ret_n = names.n;
	vec_free(&names);
	return c;
}

enum code store_list(struct store *s, const char *uri, size_t max, struct arena *a, const char ***ret, size_t *ret_n,
		     struct err *err)
{
	int fd = -1;
	enum code c = open_uri(s, uri, O_RDONLY | O_DIRECTORY, &fd, err);

	*ret = NULL;
	*ret_n = 0;
	if (c)
		return c == NOT_FOUND ? OK : c;
	DIR *dir = fdopendir(fd);
	if (!dir) {
		c = fail(err, "cannot list", uri);
		close(fd);
		return c;
	}
	c = read_names(dir, uri, max, a, ret, ret_n, err);
	closedir(dir);
	return c;
}

enum code store_adopt(struct store *s, const char *uri, const char *path, struct err *err)
{
	auto_fd int dir = -1;
	struct str relative;
	enum code c = store_relative(s, str_of(uri), &relative, err);

	if (!c)
		c = open_parent(s, uri, relative, &dir, err);
	if (c)
		return c;
	if (chmod(path, FILE_MODE & 0644) != 0 || renameat(AT_FDCWD, path, dir, strrchr(uri, '/') + 1) != 0)
		return fail(err, "cannot put in place", uri);
	if (s->durable)
		fsync(dir);
	return OK;
}
