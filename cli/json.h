/* cli/json.h — one JSON object per line on standard output.
 *
 * Workloads may include this.
 *
 *     struct rmill_json json;
 *
 *     rmill_json_begin(&json);
 *     rmill_json_name(&json, "path", path, path_bytes);
 *     rmill_json_unsigned(&json, "bytes", bytes);
 *     code = rmill_json_print(&json);
 *
 * The first failure stays and comes out of print, so the steps between need no check. Keys are
 * static, valid UTF-8 and keep their order. */
#ifndef RMILL_CLI_JSON_H
#define RMILL_CLI_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_t;

/* Owned by one thread, between begin and print. */
struct rmill_json {
    struct json_t *object;
    int code; /* The first -errno. */
};

void rmill_json_begin(struct rmill_json *json);

/* A text of ours: valid UTF-8 (-EINVAL otherwise). NULL becomes null. */
void rmill_json_string(struct rmill_json *json, const char *key, const char *text);

/* A name of any bytes: "path": "..." when it is valid UTF-8 without a NUL, else "path_hex":
 * "66ff" with the hexadecimal digits of its bytes. */
void rmill_json_name(struct rmill_json *json, const char *key, const char *name, size_t bytes);

/* JSON readers are only sure of signed 64 bits: more becomes INT64_MAX. */
void rmill_json_unsigned(struct rmill_json *json, const char *key, uint64_t number);
void rmill_json_signed(struct rmill_json *json, const char *key, int64_t number);
void rmill_json_bool(struct rmill_json *json, const char *key, bool truth);

/* Not finite becomes null. */
void rmill_json_real(struct rmill_json *json, const char *key, double number);

/* Any jansson value; its reference passes over, also on failure. NULL is taken as out of memory. */
void rmill_json_value(struct rmill_json *json, const char *key, struct json_t *value);

/* The object itself, for nesting into another one; NULL, and -errno in json->code, on failure. Its
 * reference passes to the caller and `json` is over. */
struct json_t *rmill_json_take(struct rmill_json *json);

/* Print the object and a newline; `json` is over. 0, -ENOMEM, -EINVAL, or the errno of writing to
 * standard output (-EPIPE, -ENOSPC...), which main reports again: the command need only stop. */
int rmill_json_print(struct rmill_json *json);

#endif
