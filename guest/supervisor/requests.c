#include "requests.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "commands/command.h"
#include "commands/exec.h"
#include "core/cleanup.h"
#include "core/fields.h"
#include "tasks/task.h"

static void answer(struct session *session, json_t *reply)
{
    session_send_json(session, SESSION_REPLY, reply);
    session_finish(session);
}

static void settle(struct session *session, int result, const struct failure *failure)
{
    if (result == 0) {
        answer(session, json_object());
        return;
    }
    session_send_failure(session, failure);
    session_finish(session);
}

static void ask_state(struct session *session, const json_t *params)
{
    (void)params;
    answer(session, command_state());
}

/* The id of an exec, or NULL: the command is meant. */
static int target(const json_t *params, const char **id, struct failure *failure)
{
    *id = NULL;
    return json_object_get(params, "id") == NULL ? 0 : field_id(params, "id", id, failure);
}

static void ask_signal(struct session *session, const json_t *params)
{
    struct failure failure;
    const char *id;
    int64_t signal;
    int result = target(params, &id, &failure);
    if (result == 0)
        result = field_integer(params, "signal", &signal, &failure);
    if (result == 0 && (signal < 1 || signal > 64))
        result = fail(&failure, EINVAL, PHASE_REQUEST, "field signal is no signal");
    if (result == 0)
        result = id != NULL ? exec_signal(id, (int)signal, &failure) : command_signal((int)signal, &failure);
    settle(session, result, &failure);
}

static void ask_resize(struct session *session, const json_t *params)
{
    struct failure failure;
    const char *id;
    int64_t rows, columns;
    int result = target(params, &id, &failure);
    if (result == 0)
        result = field_integer(params, "rows", &rows, &failure);
    if (result == 0)
        result = field_integer(params, "columns", &columns, &failure);
    if (result == 0 && id != NULL)
        result = exec_resize(id, (uint16_t)rows, (uint16_t)columns, &failure);
    else if (result == 0)
        command_resize((uint16_t)rows, (uint16_t)columns);
    settle(session, result, &failure);
}

static void ask_exec_state(struct session *session, const json_t *params)
{
    struct failure failure;
    json_t *state = exec_state(params, &failure);
    if (state != NULL)
        answer(session, state);
    else
        settle(session, -ENOENT, &failure);
}

static void ask_job(struct session *session, const json_t *params)
{
    struct failure failure;
    const char *kind;
    int result = field_string(params, "kind", &kind, &failure);
    int (*run)(const json_t *, char *, size_t) = result == 0 ? task_find(kind) : NULL;
    if (run != NULL)
        exec_job(session, params, run);
    else
        settle(session, result == 0 ? fail(&failure, EINVAL, PHASE_REQUEST, "no such job: %s", kind) : result,
               &failure);
}

/* An init container that was given files has done its work. */
static bool ending;

static void ask_end(struct session *session, const json_t *params)
{
    (void)params;
    ending = true;
    answer(session, json_object());
}

static const struct {
    const char *verb;
    void (*ask)(struct session *session, const json_t *params);
} verbs[] = {
    { "state", ask_state },           { "start", command_start }, { "follow", command_follow },
    { "signal", ask_signal },         { "resize", ask_resize },   { "exec", exec_start },
    { "exec-state", ask_exec_state }, { "job", ask_job },         { "end", ask_end },
};

static bool frame(struct session *session, uint8_t kind, const uint8_t *content, size_t length)
{
    struct failure failure;
    const char *verb;
    auto_json params = kind == SESSION_REQUEST ? json_loadb((const char *)content, length, 0, NULL) : NULL;
    if (field_string(params, "verb", &verb, &failure) < 0) {
        settle(session, -EINVAL, &failure);
        return true;
    }
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strcmp(verbs[i].verb, verb) == 0) {
            verbs[i].ask(session, params);
            return true;
        }
    settle(session, fail(&failure, EINVAL, PHASE_REQUEST, "no such request: %s", verb), &failure);
    return true;
}

static void nothing(struct session *session)
{
    (void)session;
}

/* Who asked for the end has its answer by now. */
static void closed(struct session *session)
{
    (void)session;
    if (ending)
        _exit(0);
}

const struct session_events request_events = { .frame = frame, .room = nothing, .closed = closed };
