/*
 * A libwebsockets server in the shape of the SDK's documentation, with a main around it: a WebSocket echo (subprotocol
 * "echo_server", or none) and the answer to an HTTP POST on one port.
 *
 *   cc -Wall -Wextra server.c -o server $(pkg-config --cflags --libs libwebsockets)
 *   server PORT [CERT KEY]
 *
 * Prints `listening PORT`; PORT 0 takes a free one. Listens on 127.0.0.1.
 */
#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXAMPLE_MAX_RECV_BUF_SIZE 4096

static int callback_http(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    switch (reason) {
    case LWS_CALLBACK_HTTP:
        fprintf(stderr, "path:%s\n", (char *)in);
        return 0; /* a body follows */

    case LWS_CALLBACK_HTTP_BODY:
        fprintf(stderr, "recv body=%.*s\n", (int)len, (char *)in);
        return 0;

    case LWS_CALLBACK_HTTP_BODY_COMPLETION: {
        const char *response_json = "{\"status\": \"success\", \"message\": \"Received your request.\"}";
        unsigned char buf[LWS_PRE + 256];
        unsigned char *p = &buf[LWS_PRE];
        int n;

        n = sprintf((char *)p,
                    "HTTP/1.1 200 OK\r\n"
                    "Content-Type: application/json\r\n"
                    "Content-Length: %zu\r\n"
                    "Connection: close\r\n"
                    "\r\n"
                    "%s",
                    strlen(response_json), response_json);
        lws_write(wsi, p, n, LWS_WRITE_HTTP);
        /* The documentation falls through to lws_callback_http_dummy here, which keeps the connection open although the
         * answer promises "Connection: close". */
        return -1;
    }

    default:
        return lws_callback_http_dummy(wsi, reason, user, in, len);
    }
}

static int callback_websocket(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
        fprintf(stderr, "Client connected\n");
        return 0;

    case LWS_CALLBACK_RECEIVE: {
        /* The documentation echoes straight from `in`, as text. But lws_write puts the frame's header into LWS_PRE bytes
         * before what it is given, which `in` does not promise to have; and a binary message, or a piece of a longer one,
         * has to go back as what it is. */
        static unsigned char buf[LWS_PRE + EXAMPLE_MAX_RECV_BUF_SIZE];
        int kind = lws_frame_is_binary(wsi) ? LWS_WRITE_BINARY : LWS_WRITE_TEXT;
        int last = lws_is_final_fragment(wsi) && !lws_remaining_packet_payload(wsi);

        memcpy(&buf[LWS_PRE], in, len);
        if (lws_write(wsi, &buf[LWS_PRE], len, lws_write_ws_flags(kind, lws_is_first_fragment(wsi), last)) < 0)
            return -1;
        return 0;
    }

    case LWS_CALLBACK_CLOSED:
        fprintf(stderr, "Client disconnected\n");
        return 0;

    default:
        return callback_http(wsi, reason, user, in, len);
    }
}

int main(int argc, char **argv)
{
    /* The first protocol also gets plain HTTP and clients that offer no subprotocol. */
    static const struct lws_protocols protocols[] = {
        { .name = "echo_server", .callback = callback_websocket, .rx_buffer_size = EXAMPLE_MAX_RECV_BUF_SIZE },
        { 0 },
    };
    struct lws_context_creation_info info;
    struct lws_context *context;

    if (argc != 2 && argc != 4) {
        fprintf(stderr, "usage: %s PORT [CERT KEY]\n", argv[0]);
        return 2;
    }
    lws_set_log_level(LLL_ERR, NULL);
    memset(&info, 0, sizeof info);
    info.port = atoi(argv[1]);
    info.iface = "127.0.0.1";
    info.protocols = protocols;
    info.gid = -1;
    info.uid = -1;
    if (argc == 4) {
        info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
        info.ssl_cert_filepath = argv[2];
        info.ssl_private_key_filepath = argv[3];
    }
    context = lws_create_context(&info);
    if (!context) {
        fprintf(stderr, "lws context creation failed\n");
        return 1;
    }
    printf("listening %d\n", lws_get_vhost_listen_port(lws_get_vhost_by_name(context, "default")));
    fflush(stdout);

    while (lws_service(context, 100) >= 0)
        ;
    lws_context_destroy(context);
    return 1;
}
