/*
 * libwebsockets: server PORT.
 *
 * Messages are put together, as an application needs them, and sent when the library says that the connection is
 * writable, as it demands. More than one is sent then, until the socket is full.
 */
#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER 65536

enum role { ECHO, SUBSCRIBER, PUBLISHER };

struct message {
    struct message *next;
    size_t length;
    int kind;
    unsigned char frame[]; /* LWS_PRE bytes for the header, then the payload */
};

struct connection {
    enum role role;
    struct lws *wsi;
    struct connection *previous_subscriber, *next_subscriber;
    struct message *first, **end;
    unsigned char *received;
    size_t length, capacity;
};

static struct connection *subscribers;

static void subscribe(struct connection *c)
{
    c->next_subscriber = subscribers;
    if (subscribers)
        subscribers->previous_subscriber = c;
    subscribers = c;
}

static void unsubscribe(struct connection *c)
{
    if (c->previous_subscriber)
        c->previous_subscriber->next_subscriber = c->next_subscriber;
    else
        subscribers = c->next_subscriber;
    if (c->next_subscriber)
        c->next_subscriber->previous_subscriber = c->previous_subscriber;
}

static void established(struct connection *c, struct lws *wsi)
{
    char path[8] = "";

    memset(c, 0, sizeof *c);
    c->wsi = wsi;
    c->end = &c->first;
    lws_hdr_copy(wsi, path, sizeof path, WSI_TOKEN_GET_URI);
    if (!strcmp(path, "/sub")) {
        c->role = SUBSCRIBER;
        subscribe(c);
    } else if (!strcmp(path, "/pub")) {
        c->role = PUBLISHER;
    }
}

static int queue(struct connection *c, const unsigned char *payload, size_t length, int kind)
{
    struct message *m = malloc(sizeof *m + LWS_PRE + length);

    if (!m)
        return -1;
    m->next = NULL;
    m->length = length;
    m->kind = kind;
    memcpy(m->frame + LWS_PRE, payload, length);
    *c->end = m;
    c->end = &m->next;
    lws_callback_on_writable(c->wsi);
    return 0;
}

static int complete(struct connection *c, int kind)
{
    struct connection *s;

    if (c->role == ECHO)
        return queue(c, c->received, c->length, kind);
    if (c->role == PUBLISHER)
        for (s = subscribers; s; s = s->next_subscriber)
            if (queue(s, c->received, c->length, kind))
                return -1;
    return 0;
}

static int receive(struct connection *c, const void *piece, size_t length)
{
    int kind = lws_frame_is_binary(c->wsi) ? LWS_WRITE_BINARY : LWS_WRITE_TEXT;

    if (c->length + length > c->capacity) {
        size_t capacity = (c->length + length) * 2;
        unsigned char *larger = realloc(c->received, capacity);

        if (!larger)
            return -1;
        c->received = larger;
        c->capacity = capacity;
    }
    memcpy(c->received + c->length, piece, length);
    c->length += length;
    if (!lws_is_final_fragment(c->wsi) || lws_remaining_packet_payload(c->wsi))
        return 0;
    if (complete(c, kind))
        return -1;
    c->length = 0;
    return 0;
}

static int send_queued(struct connection *c)
{
    struct message *m;

    while ((m = c->first)) {
        if (lws_write(c->wsi, m->frame + LWS_PRE, m->length, m->kind) < 0)
            return -1;
        c->first = m->next;
        if (!c->first)
            c->end = &c->first;
        free(m);
        if (c->first && (lws_partial_buffered(c->wsi) || lws_send_pipe_choked(c->wsi))) {
            lws_callback_on_writable(c->wsi);
            break;
        }
    }
    return 0;
}

static void closed(struct connection *c)
{
    struct message *m;

    if (c->role == SUBSCRIBER)
        unsubscribe(c);
    while ((m = c->first)) {
        c->first = m->next;
        free(m);
    }
    free(c->received);
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length)
{
    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
        established(user, wsi);
        return 0;
    case LWS_CALLBACK_RECEIVE:
        return receive(user, in, length);
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return send_queued(user);
    case LWS_CALLBACK_CLOSED:
        closed(user);
        return 0;
    default:
        return 0;
    }
}

int main(int argc, char **argv)
{
    static const struct lws_protocols protocols[] = {
        { .name = "default", .callback = callback, .per_session_data_size = sizeof(struct connection),
          .rx_buffer_size = BUFFER },
        { 0 },
    };
    struct lws_context_creation_info info;
    struct lws_context *context;

    if (argc != 2) {
        fprintf(stderr, "usage: %s PORT\n", argv[0]);
        return 2;
    }
    lws_set_log_level(LLL_ERR, NULL);
    memset(&info, 0, sizeof info);
    info.port = atoi(argv[1]);
    info.iface = "127.0.0.1";
    info.protocols = protocols;
    info.pt_serv_buf_size = BUFFER;
    info.options = LWS_SERVER_OPTION_DISABLE_IPV6 | LWS_SERVER_OPTION_VALIDATE_UTF8;
    info.gid = -1;
    info.uid = -1;
    context = lws_create_context(&info);
    if (!context)
        return 1;
    while (lws_service(context, 0) >= 0)
        ;
    lws_context_destroy(context);
    return 1;
}
