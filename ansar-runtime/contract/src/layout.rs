//! The layout of a home: its areas and files, relative to its root.

/// A part of a home that can be redirected elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    /// Deployed executables.
    Bin,
    /// Locks of roles and of the home.
    Lock,
    /// The properties of each role.
    Entry,
    /// The settings of each role.
    Settings,
    /// The input of each role.
    Input,
    /// The rolling log of each role.
    Logs,
    /// Read-only material, shared by the roles of an executable.
    Resource,
    /// Space that is emptied at every start of its role.
    Tmp,
    /// The role's own persistent data.
    Model,
}

impl Area {
    /// All areas, in the order in which they are made.
    pub const ALL: [Self; 9] = [
        Self::Bin,
        Self::Lock,
        Self::Entry,
        Self::Settings,
        Self::Input,
        Self::Logs,
        Self::Resource,
        Self::Tmp,
        Self::Model,
    ];

    /// Returns the name of the area: that of its folder in the home, and the NAME
    /// of `--redirect-NAME`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bin => "bin",
            Self::Lock => "lock",
            Self::Entry => "entry",
            Self::Settings => "settings",
            Self::Input => "input",
            Self::Logs => "logs",
            Self::Resource => "resource",
            Self::Tmp => "tmp",
            Self::Model => "model",
        }
    }
}

/// The file in the root of a home that describes the home.
pub const HOME_FILE: &str = "home.json";

/// The file in a redirected area that names the home which made the folder.
pub const AREA_FILE: &str = ".ansar-area";

/// The content of [`AREA_FILE`].
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AreaMark {
    /// The id of the home.
    pub home: String,
    /// The folder of the home, without symlinks.
    pub root: std::path::PathBuf,
    /// The name of the area.
    pub area: String,
}

/// The part of [`HOME_FILE`] that a component reads: the places of redirected
/// areas.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Redirects {
    /// Area name to absolute path.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub redirect: std::collections::BTreeMap<String, String>,
}
