//! Opening a TCP connection: name lookup, and fallback among a host's addresses (RFC 8305).

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::error::ConnectError;
use crate::uri::Target;

/// How long an address may keep the next one waiting (RFC 8305 section 5, Connection Attempt Delay).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The host's addresses, in the order in which to try them.
pub(crate) async fn resolve(target: &Target) -> Result<Vec<SocketAddr>, ConnectError> {
    let failed = |source| ConnectError::Resolve { host: target.host.clone(), source };
    let name = target.lookup_name();
    let found = lookup_host((name.as_str(), target.port)).await.map_err(failed)?;
    let addresses = interleave(found);
    if addresses.is_empty() {
        return Err(failed(io::Error::new(io::ErrorKind::NotFound, "the name has no address")));
    }
    Ok(addresses)
}

/// Connects to the first address that answers. Dropping the future closes every attempt.
pub(crate) async fn connect(target: &Target, addresses: &[SocketAddr]) -> Result<TcpStream, ConnectError> {
    let attempt = |address| async move {
        let stream = TcpStream::connect(address).await?;
        // Small messages would otherwise wait for the acknowledgement of those before them.
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    let failed = |failures| ConnectError::Connect { target: target.to_string(), failures };
    race(addresses, attempt).await.map_err(failed)
}

/// Both families in turn, beginning with that of the first address, which the resolver prefers (RFC 8305 section 4).
fn interleave(found: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut unique = Vec::new();
    for address in found {
        if !unique.contains(&address) {
            unique.push(address);
        }
    }
    let first_is_ipv4 = unique.first().is_some_and(SocketAddr::is_ipv4);
    let (first, second): (Vec<_>, Vec<_>) = unique.into_iter().partition(|address| address.is_ipv4() == first_is_ipv4);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut ordered = Vec::with_capacity(first.len() + second.len());
    loop {
        let pair = [first.next(), second.next()];
        if pair == [None, None] {
            return ordered;
        }
        ordered.extend(pair.into_iter().flatten());
    }
}

/// Starts attempts one after the other, the next one when the last has failed or has had its head start, and lets those
/// under way go on (RFC 8305 section 5).
async fn race<T, F>(
    addresses: &[SocketAddr],
    attempt: impl Fn(SocketAddr) -> F,
) -> Result<T, Vec<(SocketAddr, io::Error)>>
where
    F: Future<Output = io::Result<T>>,
{
    let mut waiting = addresses.iter().copied();
    let mut running = Vec::new();
    let mut failures = Vec::new();
    loop {
        match waiting.next() {
            Some(address) => running.push((address, Box::pin(attempt(address)))),
            None if running.is_empty() => return Err(failures),
            None => {}
        }
        let finished = poll_fn(|cx| {
            for index in 0..running.len() {
                let (address, attempt) = &mut running[index];
                if let Poll::Ready(result) = attempt.as_mut().poll(cx) {
                    let address = *address;
                    drop(running.swap_remove(index));
                    return Poll::Ready((address, result));
                }
            }
            Poll::Pending
        });
        let finished =
            if waiting.len() > 0 { timeout(ATTEMPT_DELAY, finished).await.ok() } else { Some(finished.await) };
        match finished {
            Some((_, Ok(stream))) => return Ok(stream),
            Some((address, Err(error))) => failures.push((address, error)),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::{Instant, sleep};

    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn refused() -> io::Error {
        io::ErrorKind::ConnectionRefused.into()
    }

    #[test]
    fn rfc8305_s4_families_take_turns_beginning_with_the_preferred_one() {
        let found = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "[::1]:1", "2.2.2.2:1"]);
        let ordered = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]);
        assert_eq!(interleave(found), ordered);
        let found = addresses(&["1.1.1.1:1", "[::1]:1"]);
        assert_eq!(interleave(found.clone()), found);
    }

    #[tokio::test(start_paused = true)]
    async fn rfc8305_s5_a_silent_address_holds_the_next_one_up_by_250_ms_only() {
        let start = Instant::now();
        let list = addresses(&["1.1.1.1:1", "2.2.2.2:1"]);
        let winner = race(&list, |address| async move {
            if address.ip().to_string() == "1.1.1.1" {
                std::future::pending::<()>().await;
            }
            Ok(address)
        });
        assert_eq!(winner.await.unwrap(), list[1]);
        assert_eq!(start.elapsed().as_millis(), 250);
    }

    #[tokio::test(start_paused = true)]
    async fn rfc8305_s5_a_slow_address_can_still_win() {
        let list = addresses(&["1.1.1.1:1", "2.2.2.2:1"]);
        let winner = race(&list, |address| async move {
            sleep(if address.ip().to_string() == "1.1.1.1" { Duration::from_millis(400) } else { 9 * ATTEMPT_DELAY })
                .await;
            Ok(address)
        });
        assert_eq!(winner.await.unwrap(), list[0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_starts_the_next_attempt_at_once_and_all_failures_are_told() {
        let started = Mutex::new(Vec::new());
        let list = addresses(&["1.1.1.1:1", "2.2.2.2:1", "3.3.3.3:1"]);
        let start = Instant::now();
        let failures = race(&list, |_| {
            started.lock().unwrap().push(start.elapsed());
            async move {
                sleep(Duration::from_millis(10)).await;
                Err::<(), _>(refused())
            }
        })
        .await
        .unwrap_err();
        assert_eq!(failures.iter().map(|(address, _)| *address).collect::<Vec<_>>(), list);
        let millis: Vec<_> = started.into_inner().unwrap().iter().map(Duration::as_millis).collect();
        assert!(millis.iter().zip([0, 10, 20]).all(|(is, should)| is.abs_diff(should) <= 4), "{millis:?}");
    }
}
