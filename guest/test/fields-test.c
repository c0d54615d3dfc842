/* Fields of requests, and the process that is read from them. */
#include "core/fields.h"

#include <errno.h>
#include <linux/capability.h>

#include "check.h"
#include "core/cleanup.h"
#include "limits/spec.h"

static struct failure failure;

static void fields(void)
{
    auto_json object = json_pack("{s:s, s:s%, s:i, s:b, s:[s,i], s:s, s:s}", "text", "hello", "nul", "a\0b", (size_t)3,
                                 "number", 5, "yes", 1, "mixed", "x", 1, "base64", "aGVsbG8gd29ybGQ=", "path", "../x");
    const char *text;
    int64_t number;
    bool yes;
    const char **strings;
    uint8_t *bytes;
    size_t length;
    CHECK(object != NULL);
    CHECK(field_string(object, "text", &text, &failure) == 0);
    CHECK_TEXT(text, "hello");
    CHECK(field_string(object, "nul", &text, &failure) == -EINVAL);
    CHECK(field_string(object, "number", &text, &failure) == -EINVAL);
    CHECK_TEXT(failure.message, "field number is not a string");
    CHECK(field_string(object, "missing", &text, &failure) == -EINVAL);
    CHECK(field_integer(object, "number", &number, &failure) == 0 && number == 5);
    CHECK(field_bool(object, "yes", &yes, &failure) == 0 && yes);
    CHECK(field_strings(object, "mixed", &strings, &failure) == -EINVAL);
    CHECK(field_id(object, "text", &text, &failure) == 0);
    CHECK(field_id(object, "path", &text, &failure) == -EINVAL);
    CHECK(field_base64(object, "base64", &bytes, &length, &failure) == 0);
    CHECK(length == 11 && memcmp(bytes, "hello world", 11) == 0);
    free(bytes);
    CHECK(field_base64(object, "path", &bytes, &length, &failure) == -EINVAL);
    CHECK(field_integer(NULL, "number", &number, &failure) == -EINVAL);
}

static const char process[] =
    "{\"process\": {\"args\": [\"sh\"], \"env\": [], \"cwd\": \"/\", \"user\": \"\", \"additionalGroups\": [],"
    "\"terminal\": true, \"consoleSize\": {\"rows\": 24, \"columns\": 80}, \"capabilities\": [\"CAP_CHOWN\", \"sys_admin\"],"
    "\"noNewPrivileges\": false, \"rlimits\": [{\"type\": \"RLIMIT_NOFILE\", \"soft\": 10, \"hard\": -1}],"
    "\"oomScoreAdj\": -5, \"seccomp\": \"default\", \"stdin\": 3, \"stdout\": 4}}";

/* The whole, with one field replaced. */
static int read_changed(const char *field, const char *value)
{
    auto_json object = json_loads(process, 0, NULL);
    json_t *inner = json_object_get(object, "process");
    if (value != NULL)
        json_object_set_new(inner, field, json_loads(value, JSON_DECODE_ANY, NULL));
    else
        json_object_del(inner, field);
    struct process_spec spec;
    int result = process_spec_read(object, &spec, &failure);
    process_spec_free(&spec);
    return result;
}

static void processes(void)
{
    auto_json object = json_loads(process, 0, NULL);
    struct process_spec spec;
    CHECK(object != NULL && process_spec_read(object, &spec, &failure) == 0);
    CHECK_TEXT(spec.args[0], "sh");
    CHECK(spec.args[1] == NULL && spec.terminal && spec.rows == 24 && spec.columns == 80);
    CHECK(spec.capabilities == (CAPABILITY_BIT(CAP_CHOWN) | CAPABILITY_BIT(CAP_SYS_ADMIN)));
    CHECK(spec.rlimit_count == 1 && spec.rlimits[0].resource == RLIMIT_NOFILE);
    CHECK(spec.rlimits[0].limit.rlim_cur == 10 && spec.rlimits[0].limit.rlim_max == RLIM_INFINITY);
    CHECK(spec.oom_score_adj == -5 && spec.input == 3 && spec.output == 4 && spec.error == 0);
    process_spec_free(&spec);
    CHECK(read_changed("args", "[]") == -EINVAL);
    CHECK(read_changed("args", NULL) == -EINVAL);
    CHECK(read_changed("capabilities", "[\"CAP_NOPE\"]") == -EINVAL);
    CHECK(read_changed("rlimits", "[{\"type\": \"RLIMIT_NOPE\", \"soft\": 1, \"hard\": 1}]") == -EINVAL);
    CHECK(read_changed("rlimits", "[5]") == -EINVAL);
    CHECK(read_changed("oomScoreAdj", "1001") == -EINVAL);
    CHECK(read_changed("stdin", "0") == -EINVAL);
    CHECK(read_changed("stdin", "2147483648") == -EINVAL);
    CHECK(read_changed("seccomp", "\"strict\"") == -EINVAL);
    CHECK(read_changed("seccomp", "{}") == 0);
    CHECK(read_changed("stdin", NULL) == 0);
    CHECK(capability_number("CAP_CHECKPOINT_RESTORE") == CAP_LAST_CAP);
}

int main(void)
{
    fields();
    processes();
    return 0;
}
