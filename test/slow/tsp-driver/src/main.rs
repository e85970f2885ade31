// A tsp_sdk 0.11 that is told by JSON lines on stdin what to do, and says on stdout what came of it.
use base64ct::{Base64UrlUnpadded as B64, Encoding};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead, Write};
use tsp_sdk::cesr::CryptoType;
use tsp_sdk::crypto::PayloadConfidentiality;
use tsp_sdk::{
    OwnedVid, ReceivedRelationshipDelivery, ReceivedRelationshipForm, ReceivedTspMessage,
    SecureStore, SendOptions, VerifiedVid, Vid,
};
use url::Url;

type Answer = Result<Value, String>;

fn text<'a>(ask: &'a Value, name: &str) -> Result<&'a str, String> {
    ask[name].as_str().ok_or(format!("no {name}"))
}
fn bytes(ask: &Value, name: &str) -> Result<Vec<u8>, String> {
    B64::decode_vec(text(ask, name)?).map_err(|e| e.to_string())
}
fn digest(ask: &Value, name: &str) -> Result<[u8; 32], String> {
    bytes(ask, name)?.try_into().map_err(|_| "not 32 bytes".into())
}
fn said<E: std::fmt::Debug>(e: E) -> String {
    format!("{e:?}")
}
fn sent((url, message): (Url, Vec<u8>)) -> Value {
    json!({"to": url.to_string(), "message": B64::encode_string(&message)})
}

fn do_it(stores: &mut HashMap<String, SecureStore>, ask: &Value) -> Answer {
    let store = stores
        .entry(ask["store"].as_str().unwrap_or("").to_string())
        .or_insert_with(SecureStore::new);
    match text(ask, "op")? {
        "new-peer" => {
            let url = Url::parse(text(ask, "transport")?).map_err(said)?;
            let vid = match ask["seed"].as_str() {
                Some(_) => OwnedVid::new_did_peer_from_seed(
                    url,
                    bytes(ask, "seed")?.try_into().map_err(said)?,
                ),
                None => OwnedVid::new_did_peer(url),
            };
            let long = tsp_sdk::vid::encode_did_peer_long_form(&vid);
            let piv = serde_json::to_value(&vid).map_err(said)?;
            let public = serde_json::to_value(vid.vid()).map_err(said)?;
            let id = vid.identifier().to_string();
            store.add_private_vid(vid, None).map_err(said)?;
            Ok(json!({"vid": id, "long": long, "piv": piv, "public": public}))
        }
        "new-web" => {
            let (document, piv, vid) = tsp_sdk::vid::create_did_web(
                text(ask, "name")?,
                text(ask, "domain")?,
                text(ask, "transport")?,
            );
            let id = vid.identifier().to_string();
            store.add_private_vid(vid, None).map_err(said)?;
            Ok(json!({"vid": id, "document": document, "piv": piv}))
        }
        "own" => {
            let vid: OwnedVid = serde_json::from_str(&ask["piv"].to_string()).map_err(said)?;
            let id = vid.identifier().to_string();
            let long = tsp_sdk::vid::encode_did_peer_long_form(&vid);
            let document = tsp_sdk::vid::vid_to_did_document(vid.vid());
            store.add_private_vid(vid, None).map_err(said)?;
            Ok(json!({"vid": id, "long": long, "document": document}))
        }
        "know-peer" => {
            let vid = tsp_sdk::vid::verify_vid_offline(text(ask, "long")?).map_err(said)?;
            let out = json!({"vid": vid.identifier(), "endpoint": vid.endpoint().to_string()});
            store.add_verified_vid(vid, None).map_err(said)?;
            Ok(out)
        }
        "know-web" => {
            let document = serde_json::from_str(&ask["document"].to_string()).map_err(said)?;
            let vid: Vid = tsp_sdk::vid::did::web::resolve_document(document, text(ask, "vid")?)
                .map_err(said)?;
            let out = json!({"vid": vid.identifier(), "endpoint": vid.endpoint().to_string()});
            store.add_verified_vid(vid, None).map_err(said)?;
            Ok(out)
        }
        "invite" => {
            let path: Option<Vec<&str>> = ask["replyPath"]
                .as_array()
                .map(|l| l.iter().filter_map(Value::as_str).collect());
            store
                .make_relationship_request(text(ask, "from")?, text(ask, "to")?, path.as_deref())
                .map(sent)
                .map_err(said)
        }
        "accept" => store
            .make_relationship_accept(text(ask, "from")?, text(ask, "to")?, digest(ask, "digest")?, None)
            .map(sent)
            .map_err(said),
        "cancel" => store
            .make_relationship_cancel(text(ask, "from")?, text(ask, "to")?)
            .map(sent)
            .map_err(said),
        "parallel-invite" => store
            .make_parallel_relationship_request(text(ask, "from")?, text(ask, "to")?, text(ask, "new")?)
            .map(sent)
            .map_err(said),
        "parallel-accept" => store
            .make_parallel_relationship_accept(text(ask, "from")?, text(ask, "to")?, digest(ask, "digest")?)
            .map(sent)
            .map_err(said),
        "nested-invite" => store
            .make_nested_relationship_request(text(ask, "from")?, text(ask, "to")?)
            .map(|(m, vid)| json!({"sent": sent(m), "nested": vid.identifier(), "piv": serde_json::to_value(&vid).unwrap()}))
            .map_err(said),
        "nested-accept" => store
            .make_nested_relationship_accept(text(ask, "from")?, text(ask, "to")?, digest(ask, "digest")?)
            .map(|(m, vid)| json!({"sent": sent(m), "nested": vid.identifier(), "piv": serde_json::to_value(&vid).unwrap()}))
            .map_err(said),
        "route" => {
            let hops: Vec<&str> = ask["hops"].as_array().ok_or("no hops")?.iter().filter_map(Value::as_str).collect();
            store.set_route_for_vid(text(ask, "vid")?, hops).map(|()| json!({})).map_err(said)
        }
        "relate" => store
            .set_relation_and_status_for_vid(
                text(ask, "remote")?,
                tsp_sdk::RelationshipStatus::Bidirectional {
                    thread_id: [1; 32],
                    remote_thread_id: [2; 32],
                    outstanding_nested_requests: vec![],
                },
                text(ask, "local")?,
            )
            .map(|()| json!({}))
            .map_err(said),
        "send" => {
            let data = bytes(ask, "data")?;
            let padding = ask["padding"].as_str().map(|_| bytes(ask, "padding")).transpose()?;
            let options = SendOptions {
                crypto_type: (ask["box"] == true).then_some(CryptoType::SealedBox),
                confidentiality: if ask["signedOnly"] == true {
                    PayloadConfidentiality::SignedOnly
                } else {
                    PayloadConfidentiality::Confidential
                },
                padding: padding.as_deref(),
            };
            let (from, to) = (text(ask, "from")?, text(ask, "to")?);
            match ask["kind"].as_str() {
                Some("control") => store.seal_control_message(from, to, &data, options),
                Some("padding") => store.seal_padding_message(from, to, options),
                _ => store.seal_message_with(from, to, &data, options),
            }
            .map(sent)
            .map_err(said)
        }
        "announce" => store
            .sign_anycast(text(ask, "from")?, &bytes(ask, "data")?)
            .map(|m| json!({"message": B64::encode_string(&m)}))
            .map_err(said),
        "forward" => {
            let route: Vec<Vec<u8>> = ask["route"].as_array().ok_or("no route")?.iter().filter_map(Value::as_str).map(|x| x.as_bytes().to_vec()).collect();
            store
                .forward_routed_message(text(ask, "next")?, route.iter().map(|x| x.as_slice()).collect(), &bytes(ask, "payload")?)
                .map(sent)
                .map_err(said)
        }
        "status" => store
            .relation_status_for_vid_pair(text(ask, "local")?, text(ask, "remote")?)
            .map(|s| json!({"status": s.to_string()}))
            .map_err(said),
        "open" => {
            let mut message = bytes(ask, "message")?;
            match store.open_message(&mut message).map_err(said)? {
                ReceivedTspMessage::GenericMessage { sender, receiver, message, message_type } => Ok(json!({
                    "kind": "application", "sender": sender, "receiver": receiver, "data": B64::encode_string(message),
                    "crypto": format!("{:?}", message_type.crypto_type)})),
                ReceivedTspMessage::ControlMessage { sender, message, .. } => Ok(json!({"kind": "control", "sender": sender, "data": B64::encode_string(message)})),
                ReceivedTspMessage::PaddingMessage { sender, .. } => Ok(json!({"kind": "padding", "sender": sender})),
                ReceivedTspMessage::RequestRelationship { sender, receiver, thread_id, form, delivery } => Ok(json!({
                    "kind": "invite", "sender": sender, "receiver": receiver, "digest": B64::encode_string(&thread_id),
                    "new": match form { ReceivedRelationshipForm::Parallel { new_vid, .. } => Some(new_vid), _ => None },
                    "nested": match delivery { ReceivedRelationshipDelivery::Nested { nested_vid } => Some(nested_vid), _ => None }})),
                ReceivedTspMessage::AcceptRelationship { sender, receiver, thread_id, reply_thread_id, delivery, .. } => Ok(json!({
                    "kind": "accept", "sender": sender, "receiver": receiver, "invite": B64::encode_string(&thread_id), "digest": B64::encode_string(&reply_thread_id),
                    "nested": match delivery { ReceivedRelationshipDelivery::Nested { nested_vid } => Some(nested_vid), _ => None }})),
                ReceivedTspMessage::CancelRelationship { sender, receiver, thread_id, reply_expected } => Ok(json!({
                    "kind": "cancel", "sender": sender, "receiver": receiver, "digest": B64::encode_string(&thread_id), "replyExpected": reply_expected})),
                ReceivedTspMessage::ForwardRequest { sender, receiver, next_hop, route, opaque_payload } => Ok(json!({
                    "kind": "routed", "sender": sender, "receiver": receiver, "next": next_hop,
                    "route": route.iter().map(|r| String::from_utf8_lossy(r).to_string()).collect::<Vec<_>>(), "message": B64::encode_string(&opaque_payload)})),
                #[allow(unreachable_patterns)]
                _ => Err("something else".into()),
            }
        }
        "bench" => {
            let seconds = ask["seconds"].as_f64().unwrap_or(1.0);
            let data = vec![b'x'; ask["size"].as_u64().unwrap_or(1024) as usize];
            let url = Url::parse("tcp://127.0.0.1:1").map_err(said)?;
            let (a, b) = (OwnedVid::new_did_peer(url.clone()), OwnedVid::new_did_peer(url));
            let (mut count, start) = (0u64, std::time::Instant::now());
            while start.elapsed().as_secs_f64() < seconds {
                let mut m = tsp_sdk::crypto::seal(&a, b.vid(), tsp_sdk::Payload::Content(&data[..])).map_err(said)?;
                tsp_sdk::crypto::open(&b, a.vid(), &mut m).map_err(said)?;
                count += 1;
            }
            Ok(json!({"count": count, "seconds": start.elapsed().as_secs_f64()}))
        }
        other => Err(format!("unknown {other}")),
    }
}

fn main() {
    let mut stores = HashMap::new();
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let answer = serde_json::from_str(&line).map_err(said).and_then(|ask| do_it(&mut stores, &ask));
        let answer = match answer {
            Ok(value) => json!({"ok": value}),
            Err(why) => json!({"error": why}),
        };
        println!("{answer}");
        let _ = std::io::stdout().flush();
    }
}
