/* The yardstick of benchmarks/observe: the reads of one LinuxNode.observe(), in C.
 *
 * reads LIST: LIST holds one path a line; a path that starts with '+' is read until its end (the
 * files of /proc come in pieces), the others with one pread. Every file is opened once. Then each
 * line on stdin starts one pass over all of them, answered by "nanoseconds bytes processor-nanoseconds". Files beyond the
 * limit of open files are opened for every read, as LinuxNode does.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define SPARE 512

struct file {
    const char *path;
    int fd;
    int whole;
};

static char buffer[1 << 20];

static long long now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static long long checked(long long result, const char *path)
{
    if (result < 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(1);
    }
    return result;
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    struct file *files = NULL;
    size_t count = 0, room = 0;
    char path[4096];
    FILE *list = argc == 2 ? fopen(argv[1], "r") : NULL;

    if (list == NULL) {
        fprintf(stderr, "usage: reads LIST\n");
        return 2;
    }
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max = 1 << 18;
    setrlimit(RLIMIT_NOFILE, &limit); /* with privilege */
    getrlimit(RLIMIT_NOFILE, &limit);
    while (fgets(path, sizeof path, list) != NULL) {
        path[strcspn(path, "\n")] = '\0';
        if (count == room) {
            room = room ? room * 2 : 1024;
            files = realloc(files, room * sizeof *files);
            if (files == NULL)
                return 1;
        }
        files[count].whole = path[0] == '+';
        files[count].path = strdup(path + files[count].whole);
        files[count].fd = -1;
        if (count + SPARE < limit.rlim_cur)
            files[count].fd = checked(open(files[count].path, O_RDONLY | O_CLOEXEC), path);
        count++;
    }
    fclose(list);
    while (fgets(path, sizeof path, stdin) != NULL) {
        long long start = now(CLOCK_MONOTONIC), used = now(CLOCK_PROCESS_CPUTIME_ID), bytes = 0;
        for (size_t i = 0; i < count; i++) {
            long long offset = 0, got;
            int fd = files[i].fd;
            if (fd < 0)
                fd = checked(open(files[i].path, O_RDONLY | O_CLOEXEC), files[i].path);
            do {
                got = checked(pread(fd, buffer, sizeof buffer, offset), files[i].path);
                offset += got;
            } while (files[i].whole && got > 0);
            bytes += offset;
            if (files[i].fd < 0)
                close(fd);
        }
        used = now(CLOCK_PROCESS_CPUTIME_ID) - used;
        printf("%lld %lld %lld\n", now(CLOCK_MONOTONIC) - start, bytes, used);
        fflush(stdout);
    }
    return 0;
}
