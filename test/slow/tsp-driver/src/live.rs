// tsp_sdk 0.11 over its own transports: an echo that accepts every invite. argv: own address. stdin: lines {"invite": long} or {"send": vid, "data": text}.
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tsp_sdk::{AsyncSecureStore, OwnedVid, ReceivedTspMessage, VerifiedVid};
use url::Url;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let address = std::env::args().nth(1).unwrap();
    let own = OwnedVid::new_did_peer(Url::parse(&address).unwrap());
    let id = own.identifier().to_string();
    println!("{}", json!({"vid": id, "long": tsp_sdk::vid::encode_did_peer_long_form(&own)}));
    let store = AsyncSecureStore::new();
    store.add_private_vid(own, None).unwrap();
    let mut stream = store.receive(&id).await.unwrap();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            line = lines.next_line() => {
                let Ok(Some(line)) = line else { break };
                let ask: Value = serde_json::from_str(&line).unwrap();
                if let Some(long) = ask["invite"].as_str() {
                    let r = async {
                        store.verify_vid(long, None).await?;
                        store.send_relationship_request(&id, &tsp_sdk::vid::short_form(long).unwrap_or(long.to_string()), None).await
                    }.await;
                    println!("{}", json!({"invited": format!("{r:?}")}));
                } else if let Some(vid) = ask["send"].as_str() {
                    let r = store.send(&id, vid, ask["data"].as_str().unwrap().as_bytes()).await;
                    println!("{}", json!({"sent": format!("{r:?}")}));
                } else if let Some(vid) = ask["cancel"].as_str() {
                    let r = store.send_relationship_cancel(&id, vid).await;
                    println!("{}", json!({"cancelled": format!("{r:?}")}));
                }
            }
            message = stream.next() => match message {
                Some(Ok(ReceivedTspMessage::RequestRelationship { sender, thread_id, .. })) => {
                    let r = store.send_relationship_accept(&id, &sender, thread_id, None).await;
                    println!("{}", json!({"accepted": sender, "result": format!("{r:?}")}));
                }
                Some(Ok(ReceivedTspMessage::AcceptRelationship { sender, .. })) => println!("{}", json!({"formed": sender})),
                Some(Ok(ReceivedTspMessage::GenericMessage { sender, message, .. })) => {
                    println!("{}", json!({"heard": String::from_utf8_lossy(&message).chars().take(40).collect::<String>(), "length": message.len()}));
                    let r = store.send(&id, &sender, &message).await;
                    if r.is_err() { println!("{}", json!({"echo": format!("{r:?}")})); }
                }
                Some(Ok(other)) => println!("{}", json!({"other": format!("{other:?}").chars().take(60).collect::<String>()})),
                Some(Err(e)) => println!("{}", json!({"error": format!("{e:?}")})),
                None => break,
            }
        }
    }
}
