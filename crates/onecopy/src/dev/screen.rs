//! What `onecopy dev` shows and reads: on a terminal a table that is drawn again and again with a line to
//! type in below, elsewhere one line for each thing that happens.

use std::io::{BufRead, IsTerminal, Write};

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::terminal;
use tokio::sync::mpsc;

const CLEAR_BELOW: &str = "\x1b[J";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// What was typed or piped in.
#[derive(Debug)]
pub(super) enum Input {
    /// A key changed the line that is being typed.
    Typing(String),
    /// A line is complete.
    Line(String),
    /// Ctrl-C or Ctrl-D on a terminal.
    Quit,
}

/// Where things are shown.
#[derive(Debug)]
pub(super) struct Screen {
    /// Whether the table is drawn on it.
    is_terminal: bool,
    /// How many lines of it are the table, at its end.
    drawn: u16,
    typed: String,
    table: Vec<String>,
}

impl Screen {
    /// Takes over stdin and stdout.
    pub(super) fn open() -> (Self, mpsc::UnboundedReceiver<Input>) {
        let (sender, inputs) = mpsc::unbounded_channel();
        let stdin_is_terminal = std::io::stdin().is_terminal();
        let is_terminal = stdin_is_terminal
            && std::io::stdout().is_terminal()
            && is_in_foreground()
            && terminal::enable_raw_mode().is_ok();
        if is_terminal {
            std::thread::spawn(move || read_keys(&sender));
        } else if !stdin_is_terminal || is_in_foreground() {
            std::thread::spawn(move || read_lines(&sender));
        }
        (Self { is_terminal, drawn: 0, typed: String::new(), table: Vec::new() }, inputs)
    }

    /// Shows something that stays, above the table.
    pub(super) fn say(&mut self, text: &str) {
        if !self.is_terminal {
            println!("{text}");
            return;
        }
        self.erase();
        for line in text.lines() {
            print!("{line}\r\n");
        }
        self.draw();
    }

    /// Shows the table as it is now.
    pub(super) fn show(&mut self, table: Vec<String>) {
        if self.is_terminal && table != self.table {
            self.table = table;
            self.redraw();
        }
    }

    /// Shows the line as it is being typed.
    pub(super) fn typing(&mut self, typed: String) {
        self.typed = typed;
        self.redraw();
    }

    /// Whether the table is always in sight.
    pub(super) fn shows_table(&self) -> bool {
        self.is_terminal
    }

    fn redraw(&mut self) {
        self.erase();
        self.draw();
    }

    /// Removes the table, and leaves the cursor where it began.
    fn erase(&mut self) {
        if self.drawn > 1 {
            print!("\x1b[{}A", self.drawn - 1);
        }
        print!("\r{CLEAR_BELOW}");
        self.drawn = 0;
    }

    fn draw(&mut self) {
        // A line that wraps would make the count of drawn lines wrong.
        let (width, height) = terminal::size().unwrap_or((80, 24));
        let room = usize::from(height).saturating_sub(2);
        for (position, line) in self.table.iter().take(room).enumerate() {
            let line: String = line.chars().take(usize::from(width).saturating_sub(1)).collect();
            let (begin, end) = if position == 0 { (BOLD, PLAIN) } else { ("", "") };
            print!("{begin}{line}{end}\r\n");
            self.drawn += 1;
        }
        print!("> {}", self.typed);
        self.drawn += 1;
        let _ = std::io::stdout().flush();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.is_terminal {
            let _ = terminal::disable_raw_mode();
            println!();
        }
    }
}

/// Whether the terminal listens to this process: one in the background is paused by the kernel if it reads
/// from it or changes its mode.
fn is_in_foreground() -> bool {
    let group = rustix::termios::tcgetpgrp(std::io::stdin());
    group.is_ok_and(|group| group == rustix::process::getpgrp())
}

fn read_lines(sender: &mpsc::UnboundedSender<Input>) {
    // The end of stdin says nothing: scripts often run programs without any.
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        if sender.send(Input::Line(line)).is_err() {
            return;
        }
    }
}

fn read_keys(sender: &mpsc::UnboundedSender<Input>) {
    let mut typed = String::new();
    while let Ok(event) = crossterm::event::read() {
        let Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press, .. }) = event else { continue };
        let input = match code {
            KeyCode::Char('c' | 'd') if modifiers.contains(KeyModifiers::CONTROL) => Input::Quit,
            KeyCode::Char(letter) => {
                typed.push(letter);
                Input::Typing(typed.clone())
            }
            KeyCode::Backspace => {
                typed.pop();
                Input::Typing(typed.clone())
            }
            KeyCode::Enter => Input::Line(std::mem::take(&mut typed)),
            _ => continue,
        };
        if sender.send(input).is_err() {
            return;
        }
    }
}
