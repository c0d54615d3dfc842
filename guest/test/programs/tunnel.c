/* The supervisor's end of a tunnel, on its standard streams: for a test of the daemon's end. To an address, or from sockets at paths. */
#include "tasks/tunnel.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/failure.h"
#include "sockets/sockets.h"

int main(int argc, char **argv)
{
    char message[256] = "";
    const char *address = argc > 1 ? argv[1] : "";
    bool is_path = strchr(address, '/') != NULL;
    auto_json params = json_pack("{s:s}", "address", address);
    struct failure failure;
    if (is_path)
        sockets_open(argv + 1, argc - 1);
    int result = sockets_ready(&failure);
    if (result == 0)
        result = (is_path ? sockets_run : tunnel_run)(params, message, sizeof(message));
    fprintf(stderr, "%s", message);
    return result == 0 ? 0 : 1;
}
