/* Feeds files to a fuzz target, without libFuzzer: those of its corpus, or those named on the command line. What is
 * printed is read by tools/run-tests; a crash leaves the name of its file as the last line. */
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "fuzz.h"

static void feed(const char *path)
{
	auto_buf struct buf b = {0};
	FILE *f = fopen(path, "rb");
	size_t n = 1;

	printf("%s\n", path);
	fflush(stdout);
	HOLDS(f, "%s: %s", path, strerror(errno));
	while (n > 0) {
		char *to = buf_reserve(&b, 65536);
		n = fread(to, 1, 65536, f);
		buf_commit(&b, n);
	}
	fclose(f);
	/* Of exactly this length: a byte behind it is not ours. */
	auto_mem uint8_t *bytes = x_malloc(b.len + !b.len);
	memcpy(bytes, buf_text(&b), b.len);
	LLVMFuzzerTestOneInput(bytes, b.len);
}

static size_t feed_all(const char *path)
{
	struct dirent **entries;
	struct stat st;
	size_t fed = 0;

	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
		feed(path);
		return 1;
	}
	int n = scandir(path, &entries, NULL, alphasort);
	HOLDS(n >= 0, "%s: %s", path, strerror(errno));
	for (int i = 0; i < n; i++) {
		char below[4096];
		snprintf(below, sizeof below, "%s/%s", path, entries[i]->d_name);
		fed += entries[i]->d_name[0] == '.' ? 0 : feed_all(below);
		free(entries[i]);
	}
	free(entries);
	return fed;
}

int main(int argc, char **argv)
{
	size_t fed = 0;

	for (int i = 1; i < argc; i++)
		fed += feed_all(argv[i]);
	if (argc == 1)
		fed = feed_all(CORPUS);
	HOLDS(fed > 0, "no file of the corpus is there");
	printf("[       OK ] %zu files\n", fed);
	return 0;
}
