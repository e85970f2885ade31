// An affinidi-tsp 0.2 that is told by JSON lines on stdin what to do, and says on stdout what came of it.
use affinidi_tsp::message::direct::PackedMessage;
use affinidi_tsp::vid::{PrivateVid, ResolvedVid};
use affinidi_tsp::{ForwardOutcome, TspAgent};
use base64ct::{Base64UrlUnpadded as B64, Encoding};
use serde_json::{Value, json};
use std::io::{BufRead, Write};

type Answer = Result<Value, String>;

fn text<'a>(ask: &'a Value, name: &str) -> Result<&'a str, String> {
    ask[name].as_str().ok_or(format!("no {name}"))
}
fn bytes(ask: &Value, name: &str) -> Result<Vec<u8>, String> {
    B64::decode_vec(text(ask, name)?).map_err(|e| e.to_string())
}
fn key(ask: &Value, name: &str) -> Result<[u8; 32], String> {
    bytes(ask, name)?
        .try_into()
        .map_err(|_| format!("{name} is not 32 bytes"))
}
fn said<E: std::fmt::Debug>(e: E) -> String {
    format!("{e:?}")
}
fn sent(packed: PackedMessage) -> Value {
    json!({"message": B64::encode_string(&packed.bytes), "digest": B64::encode_string(&packed.thread_digest)})
}

fn do_it(agent: &TspAgent, ask: &Value) -> Answer {
    let from = || text(ask, "from");
    let to = || text(ask, "to");
    match text(ask, "op")? {
        "own" => {
            let vid = PrivateVid::from_keys(text(ask, "vid")?, key(ask, "signing")?, key(ask, "opening")?);
            let public = json!({"verifying": B64::encode_string(&vid.verifying_key), "sealing": B64::encode_string(&vid.encryption_key)});
            agent.add_private_vid(vid);
            Ok(public)
        }
        "know" => {
            agent.add_verified_vid(ResolvedVid {
                id: text(ask, "vid")?.into(),
                signing_key: key(ask, "verifying")?,
                encryption_key: key(ask, "sealing")?,
                endpoints: vec![],
                mediators: vec![],
            });
            Ok(json!({}))
        }
        "invite" => agent.send_relationship_invite(from()?, to()?).map(sent).map_err(said),
        "accept" => agent.send_relationship_accept(from()?, to()?).map(sent).map_err(said),
        "cancel" => agent.send_relationship_cancel(from()?, to()?).map(sent).map_err(said),
        "send" => agent.send(from()?, to()?, &bytes(ask, "data")?).map(sent).map_err(said),
        "send-nested" => {
            let inner = agent.send(from()?, to()?, &bytes(ask, "data")?).map_err(said)?;
            agent.send_nested(from()?, text(ask, "over")?, &inner).map(sent).map_err(said)
        }
        "send-routed" => agent
            .send_routed(from()?, to()?, &[text(ask, "via")?], &bytes(ask, "data")?)
            .map(sent)
            .map_err(said),
        "pass-on" => match agent.forward_routed(to()?, &bytes(ask, "message")?).map_err(said)? {
            ForwardOutcome::Relay { to, message } => Ok(json!({"to": to, "message": B64::encode_string(&message.bytes)})),
            ForwardOutcome::Deliver { .. } => Err("it was for itself".into()),
        },
        "open" => agent
            .receive(to()?, &bytes(ask, "message")?)
            .map(|opened| {
                json!({
                    "kind": opened.control.map_or(format!("{:?}", opened.message_type), |c| format!("{:?}", c.control_type)),
                    "sender": opened.sender,
                    "data": B64::encode_string(&opened.payload),
                    "digest": B64::encode_string(&opened.thread_digest),
                })
            })
            .map_err(said),
        "state" => Ok(json!({"state": said(agent.relationship_state(text(ask, "local")?, text(ask, "remote")?))})),
        other => Err(format!("there is no {other}")),
    }
}

fn main() {
    let agent = TspAgent::new();
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let answer = serde_json::from_str(&line).map_err(said).and_then(|ask| do_it(&agent, &ask));
        let told = match answer {
            Ok(ok) => json!({"ok": ok}),
            Err(error) => json!({"error": error}),
        };
        println!("{told}");
        let _ = std::io::stdout().flush();
    }
}
