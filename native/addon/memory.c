/* Loaded into the daemon's Node: gives back to the kernel what the C library has of memory and nobody uses.
 *
 * Node's buffers and streams come from the C library's heap, which keeps what is freed between what is not. After large uploads that is
 * half of what the daemon has, and nothing in Node, nor a variable of the environment, makes the library look through it. */

#include <malloc.h>
#include <node_api.h>

/* trim(): true if anything was given back. */
static napi_value trim(napi_env env, napi_callback_info info)
{
    (void)info;
    napi_value given_back = NULL;
    (void)napi_get_boolean(env, malloc_trim(0) == 1, &given_back);
    return given_back; /* NULL is undefined */
}

NAPI_MODULE_INIT()
{
    napi_value function;
    if (napi_create_function(env, "trim", NAPI_AUTO_LENGTH, trim, NULL, &function) != napi_ok ||
        napi_set_named_property(env, exports, "trim", function) != napi_ok)
        napi_throw_error(env, NULL, "memory.node has no trim");
    return exports;
}
