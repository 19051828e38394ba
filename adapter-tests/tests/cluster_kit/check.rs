//! What each client has to have received: every event of its channels once and in order, or a reset that explains its absence.

use std::collections::{HashMap, HashSet};

use super::Report;
use super::client::{Received, What};
use super::publisher::Publication;

/// The most violations that are told in words.
const DETAILS: usize = 10;

pub(super) fn check(publications: &[Publication], clients: &[Received]) -> Report {
    let known: HashSet<&str> = publications.iter().map(|it| it.data.as_str()).collect();
    let mut of_channel: HashMap<&str, Vec<(u64, &str)>> = HashMap::new();
    for publication in publications {
        let Some(position) = publication.position else { continue };
        for channel in &publication.channels {
            of_channel.entry(channel).or_default().push((position, &publication.data));
        }
    }
    let mut report = Report::default();
    for (number, client) in clients.iter().enumerate() {
        check_client(number, client, &known, &of_channel, &mut report);
    }
    report
}

fn check_client(
    number: usize,
    client: &Received,
    known: &HashSet<&str>,
    of_channel: &HashMap<&str, Vec<(u64, &str)>>,
    report: &mut Report,
) {
    report.connects += client.connects;
    let mut seen: HashMap<&str, u64> = HashMap::new();
    let (mut last, mut reset_through) = (0, 0);
    let tell = |details: &mut Vec<String>, what: String| {
        if details.len() < DETAILS {
            details.push(format!("client {number}: {what}"));
        }
    };
    for message in &client.messages {
        let position = message.position;
        match &message.what {
            What::Position => {}
            What::Reset => {
                report.resets += 1;
                reset_through = reset_through.max(position);
            }
            What::Event(data) => {
                report.delivered += 1;
                if !known.contains(data.as_str()) {
                    report.unknown += 1;
                    tell(&mut report.details, format!("{data} was never published"));
                }
                if let Some(former) = seen.insert(data, position)
                    && !data.starts_with("last")
                {
                    report.doubled += 1;
                    tell(&mut report.details, format!("{data} came at {former} and {position}"));
                }
                if position <= last {
                    report.out_of_order += 1;
                    tell(&mut report.details, format!("{data} at {position} came behind {last}"));
                }
            }
        }
        last = last.max(position);
    }
    let Some(first) = client.messages.first().map(|message| message.position) else { return };
    let owed = client.channels.iter().filter_map(|channel| of_channel.get(channel.as_str())).flatten();
    for (position, data) in owed {
        if *position > first && *position > reset_through && *position <= last && !seen.contains_key(data) {
            report.missed += 1;
            tell(
                &mut report.details,
                format!("{data} at {position} is missing; first {first}, reset {reset_through}, last {last}"),
            );
        }
    }
}
