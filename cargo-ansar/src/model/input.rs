//! Input of a person at a terminal.

/// Input of a person at a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A key was pressed.
    Key(Key),
    /// The mouse was pressed at this column and row, from 0.
    Click(u16, u16),
    /// The wheel was turned at this column and row; true for up.
    Wheel(u16, u16, bool),
    /// The terminal has this number of columns and rows now.
    Resize(u16, u16),
    /// Text was pasted.
    Paste(String),
}

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// A character with the control key.
    Control(char),
    /// The arrow up.
    Up,
    /// The arrow down.
    Down,
    /// The arrow to the left.
    Left,
    /// The arrow to the right.
    Right,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the beginning.
    Home,
    /// To the end.
    End,
    /// The enter key.
    Enter,
    /// The escape key.
    Escape,
    /// The tab key.
    Tab,
    /// The tab key with shift.
    BackTab,
    /// Deletes the character before the cursor.
    Backspace,
}
