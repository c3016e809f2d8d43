//! Contact cards as vCards (RFC 6350, and 2.1 as older phones write it): lines of `NAME;parameters:value`, a long one
//! folded before a blank.

use crate::message::content::ContactCard;

/// The name, the numbers, the addresses of every sort, and what the person does for whom; everything else on a card is
/// left.
pub(super) fn read(vcard: &str) -> ContactCard {
    let unfolded = vcard.replace("\r\n", "\n").replace("\n ", "").replace("\n\t", "");
    let mut card = ContactCard::default();
    let mut parts_of_name = None;
    for line in unfolded.lines() {
        let Some((property, value)) = line.split_once(':') else { continue };
        // `item1.TEL;type=CELL`
        let property = property.split(';').next().unwrap_or_default();
        let property = property.rsplit('.').next().unwrap_or_default().trim().to_ascii_uppercase();
        if value.trim().is_empty() {
            continue;
        }
        match property.as_str() {
            "FN" => card.name = card.name.or_else(|| parts(value).into_iter().next()),
            // Family name, given name, further names, titles.
            "N" => parts_of_name = Some(parts(value)),
            "TEL" => card.phones.push(text(value)),
            "EMAIL" => card.emails.push(text(value)),
            "ORG" => card.organisation = card.organisation.or_else(|| Some(parts(value).join(", "))),
            "TITLE" => card.title = card.title.or_else(|| Some(text(value))),
            // Its parts are a box, more of the address, street, town, region, code and country.
            "ADR" => card.addresses.extend(Some(parts(value).join(", ")).filter(|address| !address.is_empty())),
            "URL" => card.urls.push(text(value)),
            _ => {}
        }
    }
    if card.name.is_none()
        && let Some([family, rest @ ..]) = parts_of_name.as_deref()
    {
        card.name = Some(rest.first().map_or_else(|| family.clone(), |given| format!("{given} {family}")));
    }
    card
}

/// A value, whatever its signs mean.
fn text(value: &str) -> String {
    let (mut text, mut escaped) = (String::with_capacity(value.len()), false);
    for c in value.trim().chars() {
        match c {
            '\\' if !escaped => escaped = true,
            'n' | 'N' if escaped => {
                text.push('\n');
                escaped = false;
            }
            c => {
                text.push(c);
                escaped = false;
            }
        }
    }
    text
}

/// The parts of a value that has several, those that say something.
fn parts(value: &str) -> Vec<String> {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in value.char_indices() {
        if c == ';' && !escaped {
            parts.push(text(&value[start..at]));
            start = at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    parts.push(text(&value[start..]));
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_read_however_its_lines_are_folded_and_its_signs_escaped() {
        let card = read(
            "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Example;Ann;;;\r\nFN:Ann\\, Exam\r\n ple\r\nORG:Shop GmbH;Sales\\; East\r\n\
             item1.TEL;type=CELL;waid=15550100077:+1 555 010\r\n\t 0077\r\nTEL:\r\nEMAIL;TYPE=work:ann@shop.example\r\nTITLE:Baker\r\nADR;TYPE=work:;;Main St 5;Graz;;8010;Austria\r\nADR:;;;;;;\r\nitem2.URL:https\\://shop.example\r\nEND:VCARD",
        );
        let text = |text: &str| Some(text.to_owned());
        let phones = vec!["+1 555 010 0077".to_owned()];
        let emails = vec!["ann@shop.example".to_owned()];
        let addresses = vec!["Main St 5, Graz, 8010, Austria".to_owned()];
        let urls = vec!["https://shop.example".to_owned()];
        let organisation = text("Shop GmbH, Sales; East");
        assert!(
            card == ContactCard {
                name: text("Ann, Example"),
                phones,
                emails,
                organisation,
                title: text("Baker"),
                addresses,
                urls
            }
        );
    }

    #[test]
    fn a_card_without_a_formatted_name_is_named_by_its_parts() {
        assert_eq!(read("N:Example;Ann;;;").name.as_deref(), Some("Ann Example"));
        assert_eq!(read("N:Example").name.as_deref(), Some("Example"));
        assert!(read("nonsense") == ContactCard::default());
    }
}
