#include "tests/common.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

uint64_t
seed_get(void)
{
    static uint64_t seed;
    static int known;

    if (!known) {
        const char *text = getenv("RMILL_SEED");
        struct timespec now;

        (void)clock_gettime(CLOCK_REALTIME, &now);
        seed = text != NULL ? strtoull(text, NULL, 0)
                            : (uint64_t)now.tv_sec * 1000000007ull + (uint64_t)now.tv_nsec;
        known = 1;
        print_message("seed: RMILL_SEED=%llu\n", (unsigned long long)seed);
    }
    return seed;
}

uint64_t
scale_get(uint64_t usual)
{
    const char *text = getenv("RMILL_TEST_SCALE");
    uint64_t scale = text != NULL ? strtoull(text, NULL, 0) : 1;

    return usual * (scale > 0 ? scale : 1);
}

void
directory_create(char path[256])
{
    const char *base = getenv("TMPDIR");

    (void)snprintf(path, 256, "%s/ringmill-test-XXXXXX", base != NULL ? base : "/tmp");
    assert_non_null(mkdtemp(path));
}

static int
remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status;
    (void)type;
    (void)where;
    return remove(path);
}

void
directory_remove(const char *path)
{
    (void)nftw(path, remove_one, 64, FTW_DEPTH | FTW_PHYS);
}
