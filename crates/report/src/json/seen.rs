//! How packets were seen to go, in the contract's JSON.

use model::journey::{End, Journey, SeenWay, Stop};
use model::path::Direction;
use serde::Serialize;

use crate::journeys::stamp;

#[derive(Serialize)]
pub(super) struct SeenView<'a> {
    path: usize,
    vantages: Vec<String>,
    packets: Vec<PacketView<'a>>,
    left_out: usize,
}

#[derive(Serialize)]
struct PacketView<'a> {
    direction: Direction,
    packet: &'a str,
    seen: Vec<StopView<'a>>,
    end: &'static str,
    expected_at: Option<String>,
}

#[derive(Serialize)]
struct StopView<'a> {
    vantage: String,
    time: String,
    packet: &'a str,
    ttl: u8,
    copies: u16,
    recorded: &'a str,
}

pub(super) fn view(way: &SeenWay) -> SeenView<'_> {
    SeenView {
        path: way.path,
        vantages: way.vantages.iter().map(ToString::to_string).collect(),
        packets: way.journeys.iter().map(|journey| packet_view(way, journey)).collect(),
        left_out: way.left_out,
    }
}

fn packet_view<'a>(way: &'a SeenWay, journey: &'a Journey) -> PacketView<'a> {
    let (end, expected_at) = match journey.end {
        End::Open => ("open", None),
        End::Unanswered => ("unanswered", None),
        End::LostBefore(vantage) => ("lost", Some(name(way, vantage))),
        End::DiesBehind(_) => ("lost", None),
    };
    PacketView {
        direction: journey.direction,
        packet: &journey.packet,
        seen: journey.stops.iter().map(|stop| stop_view(way, stop)).collect(),
        end,
        expected_at,
    }
}

fn stop_view<'a>(way: &'a SeenWay, stop: &'a Stop) -> StopView<'a> {
    StopView {
        vantage: name(way, stop.vantage),
        time: stamp(stop.time_ns),
        packet: &stop.ends,
        ttl: stop.ttl,
        copies: stop.copies,
        recorded: &stop.recorded,
    }
}

fn name(way: &SeenWay, vantage: usize) -> String {
    way.vantages.get(vantage).map(ToString::to_string).unwrap_or_default()
}
