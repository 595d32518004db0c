//! As much of SVG as the plots need. A picture brings its own light background, so that it can be read on dark pages too.

use std::fmt::Write;

/// Text in this colour can be read well.
pub(super) const INK: &str = "#1f2328";
/// For what should not distract.
pub(super) const FAINT: &str = "#6e7781";

/// A picture that is being drawn.
pub(super) struct Canvas {
    body: String,
    width: f64,
    height: f64,
}

/// Where a text's anchor is.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text looks.
#[derive(Clone, Copy)]
pub(super) struct Style {
    pub(super) size: f64,
    pub(super) color: &'static str,
    pub(super) bold: bool,
    pub(super) anchor: Anchor,
}

impl Style {
    pub(super) const fn new(size: f64, anchor: Anchor) -> Self {
        Self { size, color: INK, bold: false, anchor }
    }

    pub(super) const fn bold(mut self, bold: bool) -> Self {
        self.bold = bold;
        self
    }

    pub(super) const fn color(mut self, color: &'static str) -> Self {
        self.color = color;
        self
    }
}

impl Canvas {
    pub(super) fn new(width: f64, height: f64) -> Self {
        let mut canvas = Self { body: String::new(), width, height };
        canvas.add(format_args!(
            r##"<rect x="0.5" y="0.5" width="{}" height="{}" rx="8" fill="#ffffff" stroke="#d0d7de"/>"##,
            width - 1.0,
            height - 1.0
        ));
        canvas
    }

    pub(super) fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, color: &str) {
        self.add(format_args!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{color}"/>"#
        ));
    }

    pub(super) fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), color: &str, dashed: bool) {
        let dashes = if dashed { r#" stroke-dasharray="4 3""# } else { "" };
        self.add(format_args!(
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{color}" stroke-width="1.2"{dashes}/>"#
        ));
    }

    pub(super) fn circle(&mut self, x: f64, y: f64, radius: f64, color: &str) {
        self.add(format_args!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="{radius:.1}" fill="{color}"/>"#));
    }

    pub(super) fn diamond(&mut self, x: f64, y: f64, radius: f64, color: &str) {
        let (left, right, top, bottom) = (x - radius, x + radius, y - radius, y + radius);
        self.add(format_args!(
            r#"<path d="M{left:.1} {y:.1}L{x:.1} {top:.1}L{right:.1} {y:.1}L{x:.1} {bottom:.1}Z" fill="{color}"/>"#
        ));
    }

    /// The baseline of the text is at `y`.
    pub(super) fn text(&mut self, x: f64, y: f64, style: Style, text: &str) {
        let anchor = match style.anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let weight = if style.bold { r#" font-weight="bold""# } else { "" };
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        self.add(format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" font-size="{}" fill="{}" text-anchor="{anchor}"{weight}>{text}</text>"#,
            style.size, style.color
        ));
    }

    pub(super) fn finish(self, title: &str) -> String {
        let Self { body, width, height } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"system-ui, 'Segoe UI', Helvetica, Arial, sans-serif\" \
             role=\"img\">\n<title>{title}</title>\n{body}</svg>\n"
        )
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = writeln!(self.body, "{element}");
    }
}
