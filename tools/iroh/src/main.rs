//! iroh for the scorecard: a relay of its own server library, and a pipe between two sockets that may use relays only.
//!   relay PORT | far TARGET_PORT RELAY_URL... | near LISTEN_PORT RELAY_URL...
//! One QUIC connection between near and far, one stream of it for each socket; near dials again when the connection is gone.
use std::net::Ipv4Addr;
use std::time::Duration;

use iroh::endpoint::{presets, Connection, QuicTransportConfig, RecvStream, SendStream};
use iroh::{Endpoint, EndpointAddr, RelayMode, RelayUrl, SecretKey};
use iroh_relay::server::{RelayConfig, Server, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const ALPN: &[u8] = b"scorecard/1";
/// The key of the far end, so that near knows its name.
const FAR_SEED: [u8; 32] = [9; 32];
/// The quick end of what iroh takes: keep-alives each second, a path that is silent for three is left.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
const PATH_IDLE: Duration = Duration::from_secs(3);
const DIAL: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(100);

#[tokio::main]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let port: u16 = args.get(1).and_then(|port| port.parse().ok()).unwrap_or(0);
    let relays: Vec<RelayUrl> = args.iter().skip(2).map(|url| url.parse()).collect::<std::result::Result<_, _>>()?;
    match args.first().map(String::as_str) {
        Some("relay") => relay(port).await,
        Some("far") => far(port, relays).await,
        Some("near") => near(port, relays).await,
        _ => Err("expected relay PORT, far TARGET_PORT RELAY_URL... or near LISTEN_PORT RELAY_URL...".into()),
    }
}

async fn relay(port: u16) -> Result<()> {
    let mut config = ServerConfig::default();
    config.relay = Some(RelayConfig::new((Ipv4Addr::LOCALHOST, port)));
    let _server = Server::spawn(config).await?;
    std::future::pending().await
}

/// An endpoint that has no socket of its own for packets: everything goes through relays.
async fn endpoint(key: SecretKey, relays: &[RelayUrl]) -> Result<Endpoint> {
    let transport = QuicTransportConfig::builder()
        .keep_alive_interval(KEEP_ALIVE)
        .default_path_keep_alive_interval(KEEP_ALIVE)
        .default_path_max_idle_timeout(PATH_IDLE)
        .build();
    let endpoint = Endpoint::builder(presets::Minimal)
        .secret_key(key)
        .alpns(vec![ALPN.to_vec()])
        .relay_mode(RelayMode::custom(relays.to_vec()))
        .clear_ip_transports()
        .transport_config(transport)
        .bind()
        .await?;
    endpoint.online().await;
    Ok(endpoint)
}

async fn far(target: u16, relays: Vec<RelayUrl>) -> Result<()> {
    let endpoint = endpoint(SecretKey::from_bytes(&FAR_SEED), &relays).await?;
    println!("ready");
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(async move {
            let Ok(connection) = incoming.await else { return };
            while let Ok((send, receive)) = connection.accept_bi().await {
                tokio::spawn(async move {
                    if let Ok(socket) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await {
                        splice(socket, send, receive).await;
                    }
                });
            }
        });
    }
    Ok(())
}

async fn near(listen: u16, relays: Vec<RelayUrl>) -> Result<()> {
    let endpoint = endpoint(SecretKey::from_bytes(&[1; 32]), &relays).await?;
    let far = SecretKey::from_bytes(&FAR_SEED).public();
    let address = relays.into_iter().fold(EndpointAddr::new(far), EndpointAddr::with_relay_url);
    let mut connection: Option<Connection> = None;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, listen)).await?;
    println!("ready");
    loop {
        let (socket, _) = listener.accept().await?;
        let (send, receive) = loop {
            if let Some(live) = connection.as_ref().filter(|connection| connection.close_reason().is_none()) {
                if let Ok(Ok(stream)) = timeout(DIAL, live.open_bi()).await {
                    break stream;
                }
            }
            match timeout(DIAL, endpoint.connect(address.clone(), ALPN)).await {
                Ok(Ok(made)) => connection = Some(made),
                _ => sleep(AGAIN).await,
            }
        };
        tokio::spawn(splice(socket, send, receive));
    }
}

/// Copies both ways until both have ended; what breaks one way breaks the socket.
async fn splice(socket: TcpStream, mut send: SendStream, mut receive: RecvStream) {
    let _ = socket.set_nodelay(true);
    let (mut from, mut to) = socket.into_split();
    let up = async {
        let mut bytes = vec![0; 64 * 1024];
        loop {
            match from.read(&mut bytes).await {
                Ok(0) => break send.finish().is_ok(),
                Ok(count) => {
                    if send.write_all(&bytes[..count]).await.is_err() {
                        break false;
                    }
                }
                Err(_) => break false,
            }
        }
    };
    let down = async {
        let mut bytes = vec![0; 64 * 1024];
        loop {
            match receive.read(&mut bytes).await {
                Ok(Some(count)) => {
                    if to.write_all(&bytes[..count]).await.is_err() {
                        break false;
                    }
                }
                Ok(None) => break to.shutdown().await.is_ok(),
                Err(_) => break false,
            }
        }
    };
    tokio::pin!(up, down);
    let first = tokio::select! { sound = &mut up => (sound, true), sound = &mut down => (sound, false) };
    match first {
        (true, true) => drop(down.await),
        (true, false) => drop(up.await),
        _ => {}
    }
}
