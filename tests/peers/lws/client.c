/*
 * A libwebsockets client in the shape of the SDK's documentation, with a main around it.
 *
 *   cc -Wall -Wextra client.c -o client $(pkg-config --cflags --libs libwebsockets)
 *   client HOST PORT PATH PROTOCOL COUNT [SSL]
 *
 * Offers PROTOCOL ("" = none), sends "Hello, server!", prints each message. Leaves after COUNT messages, or with COUNT 0 when
 * the server closes; exits with 0 then, and with 1 when it could not connect or the end came too early.
 * SSL: 0 = ws, 1 = wss accepting any certificate, a file name = wss with that CA.
 */
#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int g_done, g_failed, g_count, g_received;

static int client_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    (void)user;
    switch (reason) {
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        printf("error %s\n", in ? (char *)in : "(null)");
        g_failed = g_done = 1;
        break;

    case LWS_CALLBACK_CLIENT_FILTER_PRE_ESTABLISH: {
        char chosen[64]; /* the server's headers are gone once established */

        if (lws_hdr_copy(wsi, chosen, sizeof chosen, WSI_TOKEN_PROTOCOL) > 0)
            printf("protocol %s\n", chosen);
        break;
    }

    case LWS_CALLBACK_CLIENT_ESTABLISHED: {
        const char *msg = "Hello, server!";
        unsigned char buf[LWS_PRE + 1024];
        unsigned char *p = &buf[LWS_PRE];

        printf("established\n");
        memcpy(p, msg, strlen(msg));
        if (lws_write(wsi, p, strlen(msg), LWS_WRITE_TEXT) < 0) {
            fprintf(stderr, "Failed to send data to server\n");
            return -1;
        }
        break;
    }

    case LWS_CALLBACK_CLIENT_RECEIVE: {
        /* `in` is not a C string, and a long message comes in several pieces. */
        int last = lws_is_final_fragment(wsi) && !lws_remaining_packet_payload(wsi);

        if (lws_is_first_fragment(wsi))
            printf("received ");
        printf("%.*s%s", (int)len, (char *)in, last ? "\n" : "");
        if (last && ++g_received == g_count) {
            lws_close_reason(wsi, LWS_CLOSE_STATUS_NORMAL, NULL, 0);
            return -1; /* close; CLIENT_CLOSED comes when the peer has answered */
        }
        break;
    }

    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        if (len >= 2)
            printf("close %d %.*s\n", ((unsigned char *)in)[0] << 8 | ((unsigned char *)in)[1], (int)len - 2, (char *)in + 2);
        break;

    case LWS_CALLBACK_CLIENT_CLOSED:
        printf("closed\n");
        g_done = 1;
        break;

    default:
        break;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct lws_context_creation_info info;
    struct lws_client_connect_info ccinfo;
    struct lws_context *context;

    if (argc < 6) {
        fprintf(stderr, "usage: %s HOST PORT PATH PROTOCOL COUNT [SSL]\n", argv[0]);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    lws_set_log_level(LLL_ERR, NULL);
    g_count = atoi(argv[5]);
    const char *ssl = argc > 6 ? argv[6] : "0";
    int secure = strcmp(ssl, "0") != 0, trusting = strcmp(ssl, "1") == 0;

    struct lws_protocols protocols[] = {
        { .name = argv[4][0] ? argv[4] : "none", .callback = client_callback, .rx_buffer_size = 1024, .tx_packet_size = 1024 },
        { 0 },
    };

    memset(&info, 0, sizeof info);
    info.port = CONTEXT_PORT_NO_LISTEN;
    info.protocols = protocols;
    info.options = secure ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0;
    info.gid = -1;
    info.uid = -1;
    if (secure && !trusting)
        info.client_ssl_ca_filepath = ssl;
    context = lws_create_context(&info);
    if (!context)
        return 1;

    memset(&ccinfo, 0, sizeof ccinfo);
    ccinfo.context = context;
    ccinfo.address = argv[1];
    ccinfo.port = atoi(argv[2]);
    ccinfo.path = argv[3];
    ccinfo.host = ccinfo.address;
    ccinfo.origin = ccinfo.address;
    ccinfo.protocol = argv[4][0] ? argv[4] : NULL;
    ccinfo.local_protocol_name = protocols[0].name;
    ccinfo.ssl_connection = secure ? LCCSCF_USE_SSL : 0;
    if (trusting)
        ccinfo.ssl_connection |= LCCSCF_ALLOW_SELFSIGNED | LCCSCF_ALLOW_INSECURE | LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK;
    if (!lws_client_connect_via_info(&ccinfo))
        g_failed = g_done = 1;

    while (!g_done)
        lws_service(context, 100);
    lws_context_destroy(context);
    return g_failed || g_received < g_count;
}
