#[test]
fn roundtrip() {
    for name in super::fixtures::names() {
        let events = super::deliver(&super::fixtures::fixture(&name)).expect("a delivery");
        for m in events.messages {
            let text = serde_json::to_string(&m).expect("json");
            let back: Result<threedots::Inbound, _> = serde_json::from_str(&text);
            if back.as_ref().ok() != Some(&m) {
                println!("{name}: {:?} {text}", back.err());
            }
        }
    }
}
