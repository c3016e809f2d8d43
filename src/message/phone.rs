//! What a phone number is, and which numbers are one number.
//!
//! A number is kept as its digits in the international form, without a plus. Upstreams write it so; people do not:
//! [`written`] reads what they write, with the numbering plans of the `phonenumber` crate. Some countries' mobile
//! numbers have two or three international forms, of which WhatsApp may know a person by any: [`forms`] gives them all.
//! They serve to find a person; what is sent goes to the form that the upstream gave.

use phonenumber::metadata::DATABASE;
use phonenumber::{Mode, PhoneNumber, Type};

use super::contact_ids::NotAContact;

/// The shortest and the longest number that people mean when they write one, in digits (E.164 allows for 15).
const LENGTHS: std::ops::RangeInclusive<usize> = 7..=15;

/// A number without a plus that has no more digits than this may be a national one: then it must be a valid one.
const NATIONAL: usize = 10;

/// The digits of a number as an upstream writes it, with a plus or without; none if there is anything else.
pub(super) fn digits(id: &str) -> Option<&str> {
    let digits = id.strip_prefix('+').unwrap_or(id);
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}

/// The digits of a number as people write it, in the international form.
pub(super) fn written(text: &str) -> Result<String, NotAContact> {
    let text = text.trim_matches(is_between);
    let (international, rest) = match text.strip_prefix(['+', '＋']) {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut digits = String::with_capacity(rest.len());
    for c in rest.chars() {
        match digit(c) {
            Some(digit) => digits.push(digit),
            None if is_between(c) => {}
            None => return Err(NotAContact::Unknown),
        }
    }
    if digits.is_empty() {
        return Err(NotAContact::Unknown);
    }
    // The prefix by which most of the world dials abroad.
    let (international, digits) = match digits.strip_prefix("00") {
        Some(rest) if !international => (true, rest.to_owned()),
        _ => (international, digits),
    };
    if !international && digits.starts_with('0') {
        return Err(NotAContact::National);
    }
    let number = phonenumber::parse(None, format!("+{digits}")).ok().filter(|_| LENGTHS.contains(&digits.len()));
    let refusal = if international { NotAContact::NoNumber } else { NotAContact::National };
    let number = number.ok_or(refusal)?;
    // Without the zero that belongs between the country and the area at home alone.
    let read = number.format().mode(Mode::E164).to_string().trim_start_matches('+').to_owned();
    let all = forms(&read);
    if !all.iter().any(|form| is_possible(form, &number)) {
        return Err(refusal);
    }
    let is_valid = |form: &String| phonenumber::parse(None, format!("+{form}")).is_ok_and(|number| number.is_valid());
    if !international && digits.len() <= NATIONAL && !all.iter().any(is_valid) {
        return Err(refusal);
    }
    Ok(read)
}

/// Whether a number has as many digits as numbers of its country have.
fn is_possible(digits: &str, number: &PhoneNumber) -> bool {
    let code = number.code().value();
    let national = digits.len().saturating_sub(code.to_string().len());
    // Of all kinds together the crate says nothing (0.3.10 leaves that empty).
    let kinds = [Type::FixedLine, Type::Mobile, Type::Voip, Type::PersonalNumber, Type::TollFree];
    let plans = DATABASE.by_code(&code).unwrap_or_default();
    let mut plans = plans.iter().flat_map(|plan| kinds.iter().filter_map(|kind| plan.descriptors().get(*kind)));
    plans.any(|plan| plan.possible_length().iter().any(|length| usize::from(*length) == national))
}

/// Every form of a number, the given one first. The only place that knows which numbers are one number:
///
/// | country | forms of one mobile number |
/// |---|---|
/// | 55 Brazil | `55 AA 9NNNN NNNN` and, as WhatsApp knows many, `55 AA NNNN NNNN`, if that begins with 6 to 9 |
/// | 52 Mexico | `52 1 NN NNNN NNNN` and `52 NN NNNN NNNN` |
/// | 54 Argentina | `54 9 AREA NUMBER`, `54 AREA NUMBER`, and `54 AREA 15 NUMBER` |
/// | 225 Côte d'Ivoire | eight digits, and since 2021 the same behind 01, 05 or 07, which the second digit decides |
/// | 229 Benin | eight digits, and since November 2024 the same behind 01 |
pub(super) fn forms(digits: &str) -> Vec<String> {
    let mut all = vec![digits.to_owned()];
    for form in others(digits) {
        if !all.contains(&form) {
            all.push(form);
        }
    }
    all
}

fn others(digits: &str) -> Vec<String> {
    let rest = |code| digits.strip_prefix(code);
    if let Some(national) = rest("55") {
        return brazil(national).into_iter().collect();
    }
    if let Some(national) = rest("52") {
        return mexico(national).into_iter().collect();
    }
    if let Some(national) = rest("54") {
        return argentina(national);
    }
    if let Some(national) = rest("225") {
        return ivory_coast(national).into_iter().collect();
    }
    if let Some(national) = rest("229") {
        return benin(national).into_iter().collect();
    }
    Vec::new()
}

/// Two digits of an area, then the number. One of eight digits that begins otherwise is a fixed line.
fn brazil(national: &str) -> Option<String> {
    let (area, number) = national.split_at_checked(2)?;
    let is_mobile = |number: &str| number.len() == 8 && number.starts_with(['6', '7', '8', '9']);
    if is_mobile(number) {
        return Some(format!("55{area}9{number}"));
    }
    number.strip_prefix('9').filter(|number| is_mobile(number)).map(|number| format!("55{area}{number}"))
}

/// No area begins with a one.
fn mexico(national: &str) -> Option<String> {
    match (national.len(), national.strip_prefix('1')) {
        (10, None) => Some(format!("521{national}")),
        (11, Some(number)) => Some(format!("52{number}")),
        _ => None,
    }
}

/// Area and number are ten digits together, and unlike those of any fixed line.
fn argentina(national: &str) -> Vec<String> {
    let number = national.strip_prefix('9').filter(|rest| rest.len() >= 10).unwrap_or(national);
    let number = match number.len() {
        10 => number.to_owned(),
        12 => match without_15(number) {
            Some(number) => number,
            None => return Vec::new(),
        },
        _ => return Vec::new(),
    };
    let mut all = vec![format!("549{number}"), format!("54{number}")];
    if let Some((area, rest)) = number.split_at_checked(area_length(&number)) {
        all.push(format!("54{area}15{rest}"));
    }
    all
}

/// What is dialled within an area stands behind the area.
fn without_15(number: &str) -> Option<String> {
    let length = area_length(number);
    let (area, rest) = number.split_at_checked(length)?;
    rest.strip_prefix("15").map(|rest| format!("{area}{rest}"))
}

/// Buenos Aires has two digits, these cities have three, and all other places four.
fn area_length(number: &str) -> usize {
    #[rustfmt::skip]
    const THREE: [&str; 38] = [
        "220", "221", "223", "230", "236", "237", "249", "260", "261", "263", "264", "266", "280", "291", "294", "297",
        "298", "299", "336", "341", "342", "343", "345", "348", "351", "353", "358", "362", "364", "370", "376", "379",
        "380", "381", "383", "385", "387", "388",
    ];
    match number {
        _ if number.starts_with("11") => 2,
        _ if THREE.iter().any(|area| number.starts_with(area)) => 3,
        _ => 4,
    }
}

/// Mobile numbers were given the prefix of their network, which their second digit names. Fixed lines begin with 2 or
/// 3.
fn ivory_coast(national: &str) -> Option<String> {
    let prefix = |old: &str| match (old.len() == 8, old.as_bytes().first()?, old.as_bytes().get(1)?) {
        (false, _, _) | (_, b'1'..=b'3', _) => None,
        (_, _, b'0'..=b'3') => Some("01"),
        (_, _, b'4'..=b'6') => Some("05"),
        (_, _, _) => Some("07"),
    };
    if let Some(prefix) = prefix(national) {
        return Some(format!("225{prefix}{national}"));
    }
    let (given, old) = national.split_at_checked(2)?;
    (prefix(old) == Some(given)).then(|| format!("225{old}"))
}

fn benin(national: &str) -> Option<String> {
    match (national.len(), national.strip_prefix("01")) {
        (8, _) if !national.starts_with(['0', '1']) => Some(format!("22901{national}")),
        (10, Some(old)) => Some(format!("229{old}")),
        _ => None,
    }
}

/// A digit of any of the scripts that keyboards have, as one of ours.
pub(super) fn digit(c: char) -> Option<char> {
    /// The zeros: Arabic, Persian, Devanagari, Bengali, Gurmukhi, Gujarati, Tamil, Thai, full width.
    const ZEROS: [u32; 9] = [0x660, 0x6f0, 0x966, 0x9e6, 0xa66, 0xae6, 0xbe6, 0xe50, 0xff10];
    if c.is_ascii_digit() {
        return Some(c);
    }
    let value = ZEROS.iter().find_map(|zero| u32::from(c).checked_sub(*zero).filter(|value| *value < 10))?;
    char::from_digit(value, 10)
}

/// What people, and what they copy from, put around a number and between its digits.
pub(super) fn is_between(c: char) -> bool {
    let is_invisible = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    let is_dash = matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{ff0d}' | '~' | '\u{2053}');
    c.is_whitespace()
        || is_invisible
        || is_dash
        || matches!(c, '(' | ')' | '（' | '）' | '[' | ']' | '.' | '．' | '/' | '·')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_however_people_write_it() {
        for written_so in [
            "+1 (555) 010-0003",
            " 001 555 010 0003 ",
            "+1.555.010.0003",
            "＋１ ５５５ ０１０ ０００３",
            "\u{202a}+1\u{a0}555\u{2011}010\u{2011}0003\u{202c}",
            "15550100003",
            "+١٥٥٥٠١٠٠٠٠٣",
        ] {
            assert_eq!(written(written_so).as_deref(), Ok("15550100003"), "{written_so}");
        }
        for (text, digits) in [
            ("0049 170 1234567", "491701234567"),
            ("+49 (0)170 1234567", "491701234567"),
            ("+39 06 1234567", "39061234567"),
            ("+54 9 11 2345-6789", "5491123456789"),
            ("+54 11 15 2345-6789", "5491123456789"),
            ("551187654321", "551187654321"),
            ("+52 1 55 1234 5678", "5215512345678"),
            ("22997123456", "22997123456"),
            ("628111111111", "628111111111"),
        ] {
            assert_eq!(written(text).as_deref(), Ok(digits), "{text}");
        }
    }

    #[test]
    fn a_national_number_is_refused_and_so_is_what_is_no_number() {
        for national in ["0170 1234567", "(030) 123456", "2025550123", "011 49 170 1234567", "12345"] {
            assert_eq!(written(national), Err(NotAContact::National), "{national}");
        }
        for none in ["+1", "+1 555", "+99 912 345 678", "+1 555 010 0003 0004", "+0049 170 1234567"] {
            assert_eq!(written(none), Err(NotAContact::NoNumber), "{none}");
        }
        for unknown in ["", "+", "foo", "+1 800 FLOWERS", "call +1 555 010 0003", "+1 555 010 0003 x5"] {
            assert_eq!(written(unknown), Err(NotAContact::Unknown), "{unknown}");
        }
    }

    #[test]
    fn the_forms_of_one_number_are_found_from_each_of_them() {
        for one in [
            &["5511987654321", "551187654321"][..],
            &["5531991234567", "553191234567"],
            &["525512345678", "5215512345678"],
            &["5491123456789", "541123456789", "54111523456789"],
            &["5493814123456", "543814123456", "54381154123456"],
            &["5492202412345", "542202412345"],
            &["22507123456", "2250707123456"],
            &["22545612345", "2250545612345"],
            &["22997123456", "2290197123456"],
        ] {
            for form in one {
                let found = forms(form);
                assert_eq!(&found[0], form);
                for other in one {
                    assert!(found.contains(&(*other).to_owned()), "{form}: {found:?}");
                }
            }
        }
    }

    #[test]
    fn other_numbers_have_one_form() {
        for digits in [
            "15550100003",
            "491701234567",
            // Fixed lines in Brazil, and a mobile number that is no longer form of one.
            "551123456789",
            "5511923456789",
            "5511",
            "52155",
            "541",
            "22521234567",
            "2252721234567",
            "2250107123456",
            "2290212345678",
            "",
        ] {
            assert_eq!(forms(digits), [digits], "{digits}");
        }
    }
}
