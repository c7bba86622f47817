/* Goal: whatever the order of gets and puts, no object is in two hands, and what its holder wrote
 * stays. Method: seeded gets and puts; the model is a stack of free indexes and a table of who
 * holds what; each object is filled with its holder's number and checked when it is put. */
#include "tests/common.h"

#include <string.h>

#include "base/prng.h"
#include "numa/pool.h"

#define COUNT_MAX 64

struct model {
    uint32_t count;
    uint32_t bytes;
    char *held[COUNT_MAX];
    unsigned char fill[COUNT_MAX];
    uint32_t held_count;
    void *freed[COUNT_MAX]; /* A stack: what must come next. */
    uint32_t freed_count;
};

static void
step_get(struct rmill_pool *pool, struct model *model, unsigned char fill)
{
    char *object = rmill_pool_get(pool);

    if (model->held_count == model->count) {
        assert_null(object);
        return;
    }
    assert_non_null(object);
    if (model->freed_count > 0) {
        assert_ptr_equal(object, model->freed[--model->freed_count]);
    }
    for (uint32_t i = 0; i < model->held_count; i++) {
        assert_true(object + model->bytes <= model->held[i] ||
                    model->held[i] + model->bytes <= object);
    }
    memset(object, fill, model->bytes);
    model->held[model->held_count] = object;
    model->fill[model->held_count++] = fill;
}

static void
step_put(struct rmill_pool *pool, struct model *model, uint32_t which)
{
    char *object = model->held[which];

    for (uint32_t i = 0; i < model->bytes; i++) {
        assert_int_equal((unsigned char)object[i], model->fill[which]);
    }
    model->held_count--;
    model->held[which] = model->held[model->held_count];
    model->fill[which] = model->fill[model->held_count];
    model->freed[model->freed_count++] = object;
    rmill_pool_put(pool, object);
}

static void
no_object_is_in_two_hands(void **state)
{
    struct rmill_prng prng = rmill_prng_seeded(seed_get());
    uint64_t refused = 0;

    (void)state;
    for (uint64_t round = 0; round < scale_get(100); round++) {
        const struct rmill_arena_options options = {.budget_bytes = RMILL_MIB(1),
                                                    .node = RMILL_NODE_ANY};
        struct model model = {
            .count = 1 + (uint32_t)rmill_prng_below(&prng, COUNT_MAX),
            .bytes = 1 + (uint32_t)rmill_prng_below(&prng, 200),
        };
        uint64_t alignment = 1ull << rmill_prng_below(&prng, 9);
        struct rmill_arena arena;
        struct rmill_pool pool;

        assert_int_equal(rmill_arena_init(&arena, &options, NULL), 0);
        assert_int_equal(rmill_pool_init(&pool, &arena, model.bytes, alignment, model.count, NULL),
                         0);
        for (int step = 0; step < 500; step++) {
            if (model.held_count == 0 || rmill_prng_chance(&prng, 11, 20)) {
                step_get(&pool, &model, (unsigned char)step);
            } else {
                step_put(&pool, &model, (uint32_t)rmill_prng_below(&prng, model.held_count));
            }
            assert_int_equal(pool.in_use, model.held_count);
            assert_true(pool.in_use <= pool.in_use_max && pool.in_use_max <= pool.frontier);
        }
        refused += pool.empty_count;
        rmill_arena_deinit(&arena);
    }
    assert_true(refused > 0); /* The limit was met. */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_object_is_in_two_hands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
