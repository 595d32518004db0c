//! Horizontal bars, one for each peer, the best one on top.

use super::svg::{Anchor, Canvas, FAINT, INK, Style};
use crate::bench::{
    peers::{CEILING, FASTEST, Peer, Side},
    stats::Spread,
};

const ROW: f64 = 22.0;
const BAR: f64 = 14.0;
const MARGIN: f64 = 20.0;
/// The peers' names are to the left of the bars, the numbers to the right.
const NAMES: f64 = 185.0;
const NUMBERS: f64 = 120.0;
const BARS: f64 = 260.0;
const PANEL: f64 = NAMES + BARS + NUMBERS;
const TITLE: f64 = 48.0;
const HEADING: f64 = 34.0;
const LEGEND: f64 = 30.0;

/// Colours of the Okabe-Ito palette, which most people with a colour vision deficiency can tell apart, and greys.
pub(super) const ENGINE: &str = "#0072b2";
pub(super) const TOKIO: &str = "#e69f00";
pub(super) const ROOMS: &str = "#009e73";
const REFERENCE: &str = "#57606a";
const OTHERS: &str = "#b1bac4";

/// What a scale's smallest value leaves of the bars when it is logarithmic.
const LEAST: f64 = 0.08;

pub(super) struct Bar {
    pub(super) peer: &'static Peer,
    pub(super) spread: Spread,
    pub(super) shown: String,
}

/// One test's bars.
pub(super) struct Panel {
    title: String,
    bars: Vec<Bar>,
    scale: Scale,
    /// A value that everyone is compared with.
    line: Option<f64>,
}

#[derive(Clone, Copy)]
enum Scale {
    Linear { to: f64 },
    Logarithmic { from: f64, to: f64 },
}

impl Panel {
    /// `wide` values may get a logarithmic scale; the value of the `reference` is a line through all bars.
    pub(super) fn new(
        title: &str,
        mut bars: Vec<Bar>,
        more_is_better: bool,
        wide: bool,
        reference: Option<&str>,
    ) -> Option<Self> {
        bars.sort_by(|a, b| a.spread.median.total_cmp(&b.spread.median));
        if more_is_better {
            bars.reverse();
        }
        let highest = bars.iter().map(|bar| bar.spread.high).reduce(f64::max)?;
        let lowest = bars.iter().map(|bar| bar.spread.low).reduce(f64::min)?;
        let line =
            reference.and_then(|name| bars.iter().find(|bar| bar.peer.name == name)).map(|bar| bar.spread.median);
        for bar in &mut bars {
            if bar.spread.disturbed {
                bar.shown += " ~";
            }
        }
        let (title, scale) = if wide && lowest > 0.0 && highest > 20.0 * lowest {
            (format!("{title} (logarithmic scale)"), Scale::Logarithmic { from: lowest, to: highest })
        } else {
            (title.to_owned(), Scale::Linear { to: highest })
        };
        Some(Self { title, bars, scale, line })
    }

    fn height(&self) -> f64 {
        HEADING + ROW * self.bars.len() as f64 + 12.0
    }
}

impl Scale {
    /// How long the bar of a value is.
    fn length(self, value: f64) -> f64 {
        let share = match self {
            Scale::Linear { to } => value / to,
            Scale::Logarithmic { from, to } => LEAST + (1.0 - LEAST) * (value / from).ln() / (to / from).ln(),
        };
        BARS * share.clamp(0.0, 1.0)
    }
}

/// Draws panels, two beside each other.
pub(super) fn draw(title: &str, panels: &[Panel]) -> String {
    let columns = panels.len().min(2);
    let rows: Vec<&[Panel]> = panels.chunks(2).collect();
    let heights: Vec<f64> = rows.iter().map(|row| row.iter().map(Panel::height).fold(0.0, f64::max)).collect();
    let width = MARGIN + (PANEL + MARGIN) * columns as f64;
    let mut canvas = Canvas::new(width, TITLE + heights.iter().sum::<f64>() + LEGEND);
    canvas.text(MARGIN, 31.0, Style::new(17.0, Anchor::Start).bold(true), title);
    let mut top = TITLE;
    for (row, height) in rows.iter().zip(&heights) {
        for (column, panel) in row.iter().enumerate() {
            draw_panel(&mut canvas, MARGIN + (PANEL + MARGIN) * column as f64, top, panel);
        }
        top += height;
    }
    legend(&mut canvas, top + 12.0, panels);
    canvas.finish(title)
}

fn draw_panel(canvas: &mut Canvas, left: f64, top: f64, panel: &Panel) {
    let zero = left + NAMES;
    canvas.text(left, top + 20.0, Style::new(13.5, Anchor::Start).bold(true), &panel.title);
    let first = top + HEADING;
    for (index, bar) in panel.bars.iter().enumerate() {
        let y = first + ROW * index as f64;
        let middle = y + ROW / 2.0;
        let ours = bar.peer.side != Side::Others;
        let length = panel.scale.length(bar.spread.median);
        canvas.text(zero - 8.0, middle + 4.5, Style::new(12.5, Anchor::End).bold(ours), bar.peer.name);
        canvas.rect(zero, middle - BAR / 2.0, length.max(1.5), BAR, color(bar.peer));
        let (low, high) = (panel.scale.length(bar.spread.low), panel.scale.length(bar.spread.high));
        if high - low > 2.0 {
            canvas.line((zero + low, middle), (zero + high, middle), INK, false);
        }
        let number = Style::new(12.0, Anchor::Start).bold(ours);
        canvas.text(zero + length.max(high) + 6.0, middle + 4.5, number, &bar.shown);
    }
    let bottom = first + ROW * panel.bars.len() as f64;
    canvas.line((zero, first - 2.0), (zero, bottom + 2.0), FAINT, false);
    if let Some(line) = panel.line {
        let x = zero + panel.scale.length(line);
        canvas.line((x, first - 2.0), (x, bottom + 2.0), REFERENCE, true);
    }
}

fn color(peer: &Peer) -> &'static str {
    match peer.side {
        Side::Engine => ENGINE,
        Side::Tokio => TOKIO,
        Side::Rooms => ROOMS,
        Side::Others if peer.name == CEILING || peer.name == FASTEST => REFERENCE,
        Side::Others => OTHERS,
    }
}

fn legend(canvas: &mut Canvas, y: f64, panels: &[Panel]) {
    let any = |side| panels.iter().flat_map(|panel| &panel.bars).any(|bar| bar.peer.side == side);
    let mut entries = Vec::new();
    if any(Side::Engine) {
        entries.push((ENGINE, "our engine"));
    }
    if any(Side::Tokio) {
        entries.push((TOKIO, "our tokio library"));
    }
    if any(Side::Rooms) {
        entries.push((ROOMS, "our hub's rooms"));
    }
    entries.push((REFERENCE, "references"));
    if panels.iter().any(|panel| panel.line.is_some()) {
        entries.push(("", "dashed line: raw TCP; 0.90x: against it, round by round"));
    }
    if panels.iter().flat_map(|panel| &panel.bars).any(|bar| bar.spread.low < bar.spread.high) {
        entries.push(("", "thin line: lowest to highest round"));
    }
    if panels.iter().flat_map(|panel| &panel.bars).any(|bar| bar.spread.disturbed) {
        entries.push(("", "~: disturbed by others"));
    }
    let mut x = MARGIN;
    for (color, text) in entries {
        if !color.is_empty() {
            canvas.rect(x, y - 9.0, 10.0, 10.0, color);
            x += 15.0;
        }
        canvas.text(x, y, Style::new(11.5, Anchor::Start).color(FAINT), text);
        x += 6.2 * text.len() as f64 + 18.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{measure::significant, peers};

    fn bar(name: &str, value: f64) -> Bar {
        let peer = Peer::named(name).unwrap();
        Bar {
            peer,
            spread: Spread { median: value, low: value, high: value, disturbed: false },
            shown: significant(value),
        }
    }

    #[test]
    fn the_best_is_on_top() {
        let bars = || vec![bar("yawc", 50.0), bar(peers::CEILING, 100.0)];
        let rates = Panel::new("x", bars(), true, false, Some(peers::CEILING)).unwrap();
        assert_eq!(rates.bars[0].peer.name, peers::CEILING);
        assert_eq!(rates.line, Some(100.0));
        let times = Panel::new("x", bars(), false, false, None).unwrap();
        assert_eq!(times.bars[0].peer.name, "yawc");
        assert!(Panel::new("x", vec![], true, false, None).is_none());
    }

    #[test]
    fn only_what_spans_more_than_a_factor_of_twenty_is_logarithmic() {
        let narrow = Panel::new("x", vec![bar("yawc", 10.0), bar("raw", 1.0)], true, true, None).unwrap();
        assert_eq!(narrow.scale.length(5.0), BARS / 2.0);
        let wide = Panel::new("x", vec![bar("yawc", 1000.0), bar("raw", 1.0)], true, true, None).unwrap();
        assert!(wide.title.contains("logarithmic"));
        assert_eq!(wide.scale.length(1000.0), BARS);
        assert!(wide.scale.length(1.0) > 0.0);
    }

    #[test]
    fn a_picture_is_well_formed() {
        let panel = Panel::new("a < b & c", vec![bar("raw", 1.0)], true, false, None).unwrap();
        let svg = draw("title", &[panel]);
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("a &lt; b &amp; c"));
    }
}
