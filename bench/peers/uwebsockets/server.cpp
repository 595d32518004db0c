// uWebSockets, with its own publish and subscribe. server PORT; THREADS=n runs n loops, each with an application and a
// listener of its own.

#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>

#include "App.h"

namespace {

struct Nothing {};
using WebSocket = uWS::WebSocket<false, true, Nothing>;
using Behavior = uWS::App::WebSocketBehavior<Nothing>;

// More than the largest messages of any test that are under way on a connection.
constexpr unsigned int limit = 64 << 20;
constexpr std::string_view topic = "all";

Behavior behavior() {
    Behavior behavior;
    behavior.maxPayloadLength = limit;
    behavior.maxBackpressure = limit;
    return behavior;
}

void run(int port) {
    uWS::App app;
    Behavior echo = behavior();
    echo.message = [](WebSocket *ws, std::string_view message, uWS::OpCode kind) { ws->send(message, kind); };
    Behavior subscriber = behavior();
    subscriber.open = [](WebSocket *ws) { ws->subscribe(topic); };
    Behavior publisher = behavior();
    publisher.message = [&app](WebSocket *, std::string_view message, uWS::OpCode kind) {
        app.publish(topic, message, kind);
    };
    app.ws<Nothing>("/", std::move(echo));
    app.ws<Nothing>("/sub", std::move(subscriber));
    app.ws<Nothing>("/pub", std::move(publisher));
    app.listen("127.0.0.1", port, [port](us_listen_socket_t *socket) {
        if (!socket) {
            std::cerr << "error: port " << port << " cannot be had" << std::endl;
            std::exit(1);
        }
    });
    app.run();
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 2) {
        std::cerr << "usage: server PORT" << std::endl;
        return 2;
    }
    const int port = std::atoi(argv[1]);
    const char *threads = std::getenv("THREADS");
    for (int i = 1; threads && i < std::atoi(threads); i++) {
        std::thread(run, port).detach();
    }
    run(port);
}
