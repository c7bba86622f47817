/* cli/json.c — see json.h. */
#include "cli/json.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/escape.h"
#include "base/macros.h"

#define KEY_BYTES 64

void
rmill_json_begin(struct rmill_json *json)
{
    json->object = json_object();
    json->code = json->object == NULL ? -ENOMEM : 0;
}

void
rmill_json_value(struct rmill_json *json, const char *key, struct json_t *value)
{
    if (json->code != 0) {
        json_decref(value);
        return;
    }
    if (value == NULL || json_object_set_new(json->object, key, value) != 0) {
        json->code = -ENOMEM;
    }
}

void
rmill_json_string(struct rmill_json *json, const char *key, const char *text)
{
    if (text == NULL) {
        rmill_json_value(json, key, json_null());
    } else if (!rmill_utf8_valid(text, strlen(text))) {
        json->code = json->code != 0 ? json->code : -EINVAL;
    } else {
        rmill_json_value(json, key, json_string(text));
    }
}

void
rmill_json_name(struct rmill_json *json, const char *key, const char *name, size_t bytes)
{
    static const char digits[] = "0123456789abcdef";
    char key_hex[KEY_BYTES];
    char *hex;

    if (memchr(name, '\0', bytes) == NULL && rmill_utf8_valid(name, bytes)) {
        rmill_json_value(json, key, json_stringn(name, bytes));
        return;
    }
    (void)snprintf(key_hex, sizeof(key_hex), "%s_hex", key);
    hex = malloc(bytes * 2 + 1);
    if (hex == NULL) {
        json->code = json->code != 0 ? json->code : -ENOMEM;
        return;
    }
    for (size_t i = 0; i < bytes; i++) {
        hex[2 * i] = digits[(uint8_t)name[i] >> 4];
        hex[2 * i + 1] = digits[(uint8_t)name[i] & 15];
    }
    rmill_json_value(json, key_hex, json_stringn(hex, bytes * 2));
    free(hex);
}

void
rmill_json_unsigned(struct rmill_json *json, const char *key, uint64_t number)
{
    rmill_json_value(json, key, json_integer((json_int_t)rmill_min_u64(number, INT64_MAX)));
}

void
rmill_json_signed(struct rmill_json *json, const char *key, int64_t number)
{
    rmill_json_value(json, key, json_integer(number));
}

void
rmill_json_bool(struct rmill_json *json, const char *key, bool truth)
{
    rmill_json_value(json, key, json_boolean(truth));
}

void
rmill_json_real(struct rmill_json *json, const char *key, double number)
{
    rmill_json_value(json, key, isfinite(number) ? json_real(number) : json_null());
}

struct json_t *
rmill_json_take(struct rmill_json *json)
{
    struct json_t *object = json->object;

    json->object = NULL;
    if (json->code != 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

int
rmill_json_print(struct rmill_json *json)
{
    int code = json->code;

    /* Six digits are enough for every rate and share, and leave no 0.10000000000000001. */
    if (code == 0) {
        errno = 0;
        if (json_dumpf(json->object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6)) != 0 ||
            putchar('\n') == EOF) {
            code = errno != 0 ? -errno : -EIO;
        }
    }
    json_decref(json->object);
    json->object = NULL;
    return code;
}
