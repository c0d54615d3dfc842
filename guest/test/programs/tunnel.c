/* The supervisor's end of a tunnel, on its standard streams: for a test of the daemon's end. */
#include "tasks/tunnel.h"

#include <stdio.h>

#include "core/cleanup.h"

int main(int argc, char **argv)
{
    char message[256] = "";
    auto_json params = json_pack("{s:s}", "address", argc > 1 ? argv[1] : "");
    int result = tunnel_run(params, message, sizeof(message));
    fprintf(stderr, "%s", message);
    return result == 0 ? 0 : 1;
}
