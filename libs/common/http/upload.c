/* An upload on its way to disk: a temporary file and the MD5 of what came. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http/private.h"

static const char prefix[] = ".upload-";

enum code http_upload_open(struct http_upload *u, const char *dir, struct err *err)
{
	u->path = x_printf("%s/%sXXXXXX", dir, prefix);
	u->fd = mkostemp(u->path, O_CLOEXEC);
	if (u->fd < 0) {
		free(take(u->path));
		return err_set(err, INTERNAL, "cannot make a file for an upload in %s: %s", dir, strerror(errno));
	}
	u->md5 = hasher_md5();
	return OK;
}

enum code http_upload_write(struct http_upload *u, const void *p, size_t n, struct err *err)
{
	hasher_add(u->md5, p, n);
	const char *at = p;
	while (n) {
		ssize_t done = write(u->fd, at, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0) {
			enum code c = errno == ENOSPC || errno == EDQUOT ? RESOURCE_EXHAUSTED : INTERNAL;
			return err_set(err, c, "cannot store the upload: %s", strerror(errno));
		}
		at += done;
		n -= (size_t)done;
		u->bytes += (uint64_t)done;
	}
	return OK;
}

enum code http_upload_sync(struct http_upload *u, uint8_t *md5, struct err *err)
{
	hasher_finish(take(u->md5), md5);
	int failed = fsync(u->fd) ? errno : 0;
	close(u->fd);
	u->fd = -1;
	return failed ? err_set(err, INTERNAL, "cannot store the upload: %s", strerror(failed)) : OK;
}

void http_upload_discard(struct http_upload *u)
{
	if (u->md5)
		hasher_finish(take(u->md5), NULL);
	if (u->fd >= 0)
		close(u->fd);
	u->fd = -1;
	if (u->path)
		unlink(u->path);
	free(take(u->path));
}

void http_upload_sweep(const char *dir, int64_t age_us)
{
	DIR *d = opendir(dir);
	if (!d)
		return;
	int64_t before_us = time_now_us() - age_us;
	struct stat st;
	for (struct dirent *e; (e = readdir(d));)
		if (strncmp(e->d_name, prefix, sizeof prefix - 1) == 0 &&
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_mtim.tv_sec * USEC_PER_SEC < before_us)
			unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
}
