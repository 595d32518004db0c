//! Node's ws: its client against our servers, our client against its server.

use tautline_conformance::peers::Language;
use tautline_conformance::scenarios;

const NODE: Language = Language::Node;

scenarios! { NODE;
    // Their client, our server.
    echoes_every_length, echoes_in_order, takes_fragments, takes_very_many_fragments, answers_pings, is_kept_alive, is_closed_by_the_client,
    is_closed_by_the_server, is_told_of_the_end_of_the_hub, subprotocols, compression_is_not_agreed, compression_is_agreed, origins, aborts,
    too_big, over_tls,
    // Our client, their server.
    server_echoes, server_compresses, server_echoes_large_messages, server_sends_too_much, server_takes_fragments, server_answers_pings,
    server_is_closed_by_our_client, server_is_killed, server_echoes_in_order, server_selects_a_subprotocol,
    server_over_tls,
}
