//! Every goal in one picture: how far beyond it, or how far from it, we are.

use super::{
    bars::{ENGINE, ROOMS, TOKIO},
    svg::{Anchor, Canvas, FAINT, INK, Style},
};
use crate::bench::{
    goals::{self, Goal},
    peers::Side,
    runs::Runs,
};

pub(super) const TITLE: &str = "Goals: right of the line is better than the goal";

const ROW: f64 = 24.0;
const MARGIN: f64 = 20.0;
const NAMES: f64 = 430.0;
const SCALE: f64 = 300.0;
const NUMBERS: f64 = 150.0;
/// Between the scale and the numbers.
const GAP: f64 = 80.0;
const TOP: f64 = 84.0;
const STRIPE: &str = "#f3f4f6";
/// The scale goes from half to twice as good; what is beyond stands at its end.
const EXTENT: f64 = 2.0;

/// Nothing when no goal was measured.
pub(super) fn draw(runs: &Runs) -> Option<String> {
    let points = |goal: &Goal| [Side::Engine, Side::Tokio, Side::Rooms].map(|side| point(goal, runs, side));
    let rows: Vec<_> = goals::all().into_iter().map(|goal| (points(&goal), goal)).collect();
    let rows: Vec<_> = rows.into_iter().filter(|(points, _)| points.iter().any(Option::is_some)).collect();
    if rows.is_empty() {
        return None;
    }
    let width = MARGIN * 2.0 + NAMES + SCALE + GAP + NUMBERS * 3.0;
    let bottom = TOP + ROW * rows.len() as f64;
    let mut canvas = Canvas::new(width, bottom + 36.0);
    canvas.text(MARGIN, 31.0, Style::new(17.0, Anchor::Start).bold(true), TITLE);
    let (left, right) = (MARGIN + NAMES, MARGIN + NAMES + SCALE);
    for index in (0..rows.len()).step_by(2) {
        canvas.rect(MARGIN - 8.0, TOP + ROW * index as f64, width - 2.0 * MARGIN + 16.0, ROW, STRIPE);
    }
    for (share, text) in [(0.5, "half as good"), (1.0, "goal"), (2.0, "twice as good")] {
        let x = x_of(left, share);
        canvas.line((x, TOP - 6.0), (x, bottom + 4.0), if share == 1.0 { INK } else { "#d0d7de" }, share != 1.0);
        canvas.text(x, TOP - 12.0, Style::new(11.5, Anchor::Middle).color(FAINT), text);
    }
    let column = |number: f64| right + GAP + NUMBERS * number;
    let headings = [(column(0.0), "engine"), (column(1.0), "tokio library"), (column(2.0), "rooms")];
    for (x, text) in headings {
        canvas.text(x, TOP - 12.0, Style::new(12.5, Anchor::Start).bold(true), text);
    }
    canvas.circle(headings[0].0 - 12.0, TOP - 16.0, 5.5, ENGINE);
    canvas.diamond(headings[1].0 - 12.0, TOP - 16.0, 6.5, TOKIO);
    square(&mut canvas, headings[2].0 - 12.0, TOP - 16.0);
    for (index, (points, goal)) in rows.iter().enumerate() {
        let middle = TOP + ROW * (index as f64 + 0.5);
        canvas.text(left - 40.0, middle + 4.5, Style::new(12.5, Anchor::End), goal.what);
        let [engine, tokio, rooms] = points;
        if let Some(point) = engine {
            canvas.circle(x_of(left, point.score), middle, 5.5, ENGINE);
        }
        if let Some(point) = tokio {
            canvas.diamond(x_of(left, point.score), middle, 6.5, TOKIO);
        }
        if let Some(point) = rooms {
            square(&mut canvas, x_of(left, point.score), middle);
        }
        for ((x, _), point) in headings.iter().zip(points) {
            if let Some(point) = point {
                let style = Style::new(12.0, Anchor::Start).bold(!point.is_met);
                canvas.text(*x, middle + 4.5, style, &point.text);
            }
        }
    }
    let note =
        "Numbers: reached (goal). Bold: not met; ~: disturbed by others. The scale ends at half and twice as good.";
    canvas.text(MARGIN, bottom + 24.0, Style::new(11.5, Anchor::Start).color(FAINT), note);
    Some(canvas.finish(TITLE))
}

fn square(canvas: &mut Canvas, x: f64, y: f64) {
    canvas.rect(x - 4.5, y - 4.5, 9.0, 9.0, ROOMS);
}

/// What one of ours has reached of a goal.
struct Point {
    score: f64,
    is_met: bool,
    text: String,
}

fn point(goal: &Goal, runs: &Runs, side: Side) -> Option<Point> {
    let bound = goal.bound(side)?;
    let reached = goal.reached(runs, goals::ours(side)?)?;
    let shown = goal.show(reached.median);
    let mark = if reached.disturbed { " ~" } else { "" };
    Some(Point {
        score: bound.score(reached.median),
        is_met: bound.is_met(&shown),
        text: format!("{shown}{mark} ({})", bound.show(goal)),
    })
}

fn x_of(left: f64, score: f64) -> f64 {
    let share = score.clamp(1.0 / EXTENT, EXTENT).log(EXTENT);
    left + SCALE * (share + 1.0) / 2.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::bench::runs::Run;

    #[test]
    fn the_goal_is_in_the_middle_and_what_is_beyond_the_scale_at_its_end() {
        assert_eq!(x_of(0.0, 1.0), SCALE / 2.0);
        assert_eq!((x_of(0.0, 7.0), x_of(0.0, 0.01)), (SCALE, 0.0));
    }

    #[test]
    fn only_what_was_measured_is_drawn() {
        assert!(draw(&Runs::default()).is_none());
        let run = Run::sample("idle", "tautline", 0, json!({ "bytes_per_conn": 3072.0 }));
        let svg = draw(&Runs { sessions: vec![], runs: vec![run] }).unwrap();
        assert!(svg.contains("3,072 (&lt;= 1,536)") && !svg.contains("two loops"));
    }
}
