#include "commands/exec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "commands/child.h"
#include "commands/command.h"
#include "core/cleanup.h"
#include "core/fields.h"

/* So many are remembered that have ended. */
#define MOST_ENDED 256
#define MOST_RUNNING 4096
#define MESSAGE_BYTES 4096

struct exec {
    struct exec *next; /* the youngest first */
    char *id;          /* NULL: a job */
    struct child child;
    struct session *session; /* NULL: nobody is attached */
    bool told;               /* the session has its answer */
    bool detached;
    bool over;
    pid_t pid;
    int code;
    size_t message_length; /* of a job, which says on its stderr why it failed */
    char message[MESSAGE_BYTES];
};

static struct exec *execs;

static struct exec *find(const char *id)
{
    for (struct exec *exec = execs; exec != NULL; exec = exec->next)
        if (exec->id != NULL && strcmp(exec->id, id) == 0)
            return exec;
    return NULL;
}

static void free_exec(struct exec *exec)
{
    for (struct exec **link = &execs; *link != NULL; link = &(*link)->next)
        if (*link == exec) {
            *link = exec->next;
            break;
        }
    if (exec->session != NULL)
        exec->session->owner = NULL;
    free(exec->id);
    free(exec);
}

/* Forgets the oldest of those that have ended, where they are too many. */
static void forget_old(void)
{
    size_t ended = 0;
    for (struct exec *exec = execs, *next; exec != NULL; exec = next) {
        next = exec->next;
        if (exec->over && ++ended > MOST_ENDED)
            free_exec(exec);
    }
}

static void leave_session(struct exec *exec)
{
    struct session *session = exec->session;
    exec->session = NULL;
    if (session == NULL)
        return;
    session->owner = NULL;
    session_finish(session);
}

/* ---- the process ---- */

static void started(struct child *child)
{
    struct exec *exec = child->owner;
    exec->pid = child->pid;
    if (exec->session == NULL || exec->told)
        return;
    exec->told = true;
    session_send_json(exec->session, SESSION_REPLY, json_pack("{s:i}", "pid", (int)child->pid));
    if (exec->detached)
        leave_session(exec);
}

static void failed(struct child *child, const struct failure *failure)
{
    struct exec *exec = child->owner;
    exec->over = true;
    exec->code = 126; /* as Docker records it, whatever the reason */
    if (exec->session != NULL)
        session_send_failure(exec->session, failure);
    leave_session(exec);
    forget_old();
}

static size_t room(struct child *child)
{
    struct exec *exec = child->owner;
    if (exec->session == NULL)
        return SESSION_DATA_BYTES; /* read, and thrown away */
    size_t most = session_room(exec->session);
    return most < SESSION_DATA_BYTES ? 0 : SESSION_DATA_BYTES;
}

static void keep_message(struct exec *exec, const uint8_t *bytes, size_t length)
{
    size_t left = sizeof(exec->message) - 1 - exec->message_length;
    memcpy(exec->message + exec->message_length, bytes, length < left ? length : left);
    exec->message_length += length < left ? length : left;
}

static void output(struct child *child, int stream, const uint8_t *bytes, size_t length)
{
    struct exec *exec = child->owner;
    if (child->job && stream == 1)
        keep_message(exec, bytes, length);
    else if (exec->session != NULL)
        session_send(exec->session, stream == 0 ? SESSION_STDOUT : SESSION_STDERR, bytes, length);
}

static void exited(struct child *child)
{
    (void)child;
}

static void ended(struct child *child)
{
    struct exec *exec = child->owner;
    exec->over = true;
    exec->code = child_code(child);
    if (exec->session != NULL) {
        json_t *message = json_string(exec->message);
        if (message == NULL)
            message = json_string("a failure whose words are no text");
        session_send_json(exec->session, SESSION_EXIT,
                          json_pack("{s:i, s:i, s:o}", "code", exec->code, "signal", child_signal_of_exit(child),
                                    "message", message));
    }
    leave_session(exec);
    if (exec->id == NULL)
        free_exec(exec);
    else
        forget_old();
}

static void input_room(struct child *child)
{
    const struct exec *exec = child->owner;
    if (exec->session != NULL)
        session_resume(exec->session);
}

static const struct child_events child_events = {
    .started = started,
    .failed = failed,
    .room = room,
    .output = output,
    .exited = exited,
    .ended = ended,
    .input_room = input_room,
};

/* ---- the session ---- */

static bool frame(struct session *session, uint8_t kind, const uint8_t *content, size_t length)
{
    struct exec *exec = session->owner;
    uint16_t size[2];
    if (exec == NULL)
        return true;
    switch (kind) {
    case SESSION_INPUT:
        return child_write(&exec->child, content, length);
    case SESSION_INPUT_END:
        if (exec->child.state == CHILD_STARTING)
            return false;
        child_end_input(&exec->child);
        return true;
    case SESSION_RESIZE:
        if (length == sizeof(size)) {
            memcpy(size, content, sizeof(size));
            child_resize(&exec->child, size[0], size[1]);
        }
        return true;
    default:
        return true;
    }
}

static void session_has_room(struct session *session)
{
    struct exec *exec = session->owner;
    if (exec != NULL)
        child_output_room(&exec->child);
}

/* Its client is gone: the process goes on, and a job is not wanted any more. */
static void closed(struct session *session)
{
    struct exec *exec = session->owner;
    struct failure failure;
    session->owner = NULL;
    if (exec == NULL)
        return;
    exec->session = NULL;
    if (exec->over)
        return;
    if (exec->child.job)
        child_signal(&exec->child, 9, &failure);
    else
        child_end_input(&exec->child);
    child_output_room(&exec->child);
}

static const struct session_events session_events = { .frame = frame, .room = session_has_room, .closed = closed };

static void refuse(struct session *session, const struct failure *failure)
{
    session_send_failure(session, failure);
    session_finish(session);
}

static struct exec *new_exec(struct session *session, const char *id, struct failure *failure)
{
    size_t running = 0;
    for (const struct exec *exec = execs; exec != NULL; exec = exec->next)
        running += !exec->over;
    struct exec *exec = running < MOST_RUNNING ? calloc(1, sizeof(*exec)) : NULL;
    if (exec != NULL && id != NULL && (exec->id = strdup(id)) == NULL) {
        free(exec);
        exec = NULL;
    }
    if (exec == NULL) {
        fail(failure, ENOMEM, PHASE_REQUEST, "no room for another process");
        return NULL;
    }
    exec->next = execs;
    execs = exec;
    exec->session = session;
    exec->child = (struct child){ .events = &child_events, .owner = exec };
    return exec;
}

static void begin(struct exec *exec, const struct child_launch *launch)
{
    struct failure failure;
    struct session *session = exec->session;
    session->owner = exec;
    session->events = &session_events;
    if (child_start(&exec->child, launch, &failure) == 0)
        return;
    exec->session = NULL;
    session->owner = NULL;
    free_exec(exec);
    refuse(session, &failure);
}

void exec_start(struct session *session, const json_t *params)
{
    struct failure failure;
    struct process_spec spec = { 0 };
    const char *id;
    struct exec *exec = NULL;
    int result = field_id(params, "id", &id, &failure);
    if (result == 0 && find(id) != NULL)
        result = fail(&failure, EEXIST, PHASE_REQUEST, "exec %s has been started", id);
    if (result == 0 && !command_runs())
        result = fail(&failure, ESRCH, PHASE_REQUEST, "the container is not running");
    if (result == 0)
        result = command_read_spec(params, &spec, &failure);
    if (result == 0 && (exec = new_exec(session, id, &failure)) == NULL)
        result = -ENOMEM;
    if (result == 0) {
        struct child_launch launch = {
            .spec = &spec,
            .streams = { json_is_true(json_object_get(params, "stdin")),
                         json_is_true(json_object_get(params, "stdout")),
                         json_is_true(json_object_get(params, "stderr")) },
        };
        exec->detached = json_is_true(json_object_get(params, "detach"));
        exec->child.rows = spec.rows;
        exec->child.columns = spec.columns;
        begin(exec, &launch);
    } else {
        refuse(session, &failure);
    }
    process_spec_free(&spec);
}

void exec_job(struct session *session, const json_t *params,
              int (*run)(const json_t *params, char *message, size_t message_size))
{
    struct failure failure;
    struct exec *exec = new_exec(session, NULL, &failure);
    struct child_launch launch = { .job = run, .params = params, .streams = { true, true, true } };
    if (exec == NULL)
        refuse(session, &failure);
    else
        begin(exec, &launch);
}

/* ---- by id ---- */

static struct exec *need(const char *id, struct failure *failure)
{
    struct exec *exec = find(id);
    if (exec == NULL)
        fail(failure, ENOENT, PHASE_REQUEST, "no exec %s", id);
    return exec;
}

json_t *exec_state(const json_t *params, struct failure *failure)
{
    const char *id;
    const struct exec *exec = field_id(params, "id", &id, failure) < 0 ? NULL : need(id, failure);
    if (exec == NULL)
        return NULL;
    return json_pack("{s:b, s:i, s:i}", "running", !exec->over, "pid", (int)exec->pid, "code", exec->code);
}

int exec_signal(const char *id, int signal, struct failure *failure)
{
    const struct exec *exec = need(id, failure);
    if (signal < 1 || signal > 64)
        return fail(failure, EINVAL, PHASE_REQUEST, "signal %d", signal);
    return exec == NULL ? -ENOENT : child_signal(&exec->child, signal, failure);
}

int exec_resize(const char *id, uint16_t rows, uint16_t columns, struct failure *failure)
{
    struct exec *exec = need(id, failure);
    if (exec == NULL)
        return -ENOENT;
    if (exec->over)
        return fail(failure, ESRCH, PHASE_REQUEST, "process already finished");
    child_resize(&exec->child, rows, columns);
    return 0;
}
