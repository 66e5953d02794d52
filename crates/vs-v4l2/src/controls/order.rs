// SPDX-License-Identifier: Apache-2.0
//! Which control rules which, and the order in which they are set.
//!
//! A scene mode changes automatics, an automatic decides about values: so scene modes come
//! first, then automatics, then the rest. What rules what is written in the kernel's
//! documents control by control ("User Controls", "Camera Control Reference"); of drivers' own
//! controls the name must do.

use v4l2r::bindings as v4l2;

use super::control::{Control, ControlFlags};

/// When a control is set among others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Rank {
    /// A mode that changes automatics.
    Scene,
    /// An automatic.
    Auto,
    /// A value.
    Value,
}

impl Rank {
    pub(super) const ALL: [Self; 3] = [Self::Scene, Self::Auto, Self::Value];

    pub(super) fn of(control: &Control) -> Self {
        if control.id == v4l2::V4L2_CID_SCENE_MODE {
            return Self::Scene;
        }
        let known = RULES.iter().any(|(auto, _)| *auto == control.id);
        let called = control.name.split('_').any(|word| word.starts_with("auto"));
        if known || called { Self::Auto } else { Self::Value }
    }
}

/// Automatics and what they rule.
const RULES: &[(u32, &[u32])] = &[
    (
        v4l2::V4L2_CID_AUTO_WHITE_BALANCE,
        &[v4l2::V4L2_CID_WHITE_BALANCE_TEMPERATURE, v4l2::V4L2_CID_RED_BALANCE, v4l2::V4L2_CID_BLUE_BALANCE],
    ),
    (
        v4l2::V4L2_CID_AUTO_N_PRESET_WHITE_BALANCE,
        &[v4l2::V4L2_CID_WHITE_BALANCE_TEMPERATURE, v4l2::V4L2_CID_RED_BALANCE, v4l2::V4L2_CID_BLUE_BALANCE],
    ),
    (
        v4l2::V4L2_CID_EXPOSURE_AUTO,
        &[
            v4l2::V4L2_CID_EXPOSURE,
            v4l2::V4L2_CID_EXPOSURE_ABSOLUTE,
            v4l2::V4L2_CID_IRIS_ABSOLUTE,
            v4l2::V4L2_CID_IRIS_RELATIVE,
        ],
    ),
    (v4l2::V4L2_CID_AUTOGAIN, &[v4l2::V4L2_CID_GAIN, v4l2::V4L2_CID_ANALOGUE_GAIN, v4l2::V4L2_CID_DIGITAL_GAIN]),
    (v4l2::V4L2_CID_ISO_SENSITIVITY_AUTO, &[v4l2::V4L2_CID_ISO_SENSITIVITY]),
    (v4l2::V4L2_CID_FOCUS_AUTO, &[v4l2::V4L2_CID_FOCUS_ABSOLUTE, v4l2::V4L2_CID_FOCUS_RELATIVE]),
    (v4l2::V4L2_CID_HUE_AUTO, &[v4l2::V4L2_CID_HUE]),
    (v4l2::V4L2_CID_AUTOBRIGHTNESS, &[v4l2::V4L2_CID_BRIGHTNESS]),
    (v4l2::V4L2_CID_CHROMA_AGC, &[v4l2::V4L2_CID_CHROMA_GAIN]),
];

/// The controls of a device that may rule one: by the kernel's documents, else those whose
/// name is that of the control beside words of automatics ("skin_tone_auto" of "skin_tone").
pub(super) fn rulers<'a>(control: &Control, all: &'a [Control]) -> Vec<&'a Control> {
    let rules = |ruler: &Control| RULES.iter().any(|(auto, ruled)| *auto == ruler.id && ruled.contains(&control.id));
    let known: Vec<_> = all.iter().filter(|ruler| rules(ruler)).collect();
    if !known.is_empty() {
        return known;
    }
    let is_auto = |word: &&str| word.starts_with("auto");
    let bare = |name: &str| name.split('_').filter(|word| !is_auto(word)).collect::<Vec<_>>().join("_");
    let called = |ruler: &&Control| {
        ruler.id != control.id && Rank::of(ruler) == Rank::Auto && {
            let bare = bare(&ruler.name);
            !bare.is_empty() && control.name.starts_with(&bare)
        }
    };
    all.iter().filter(called).collect()
}

/// Whether a control has no effect, and stays so if `changed` are set with it.
pub(super) fn is_ruled(control: &Control, all: &[Control], changed: &[&str]) -> bool {
    let rulers = rulers(control, all);
    let freed = rulers.iter().any(|ruler| changed.contains(&ruler.name.as_str()));
    control.flags.contains(ControlFlags::INACTIVE) && !freed
}

#[cfg(test)]
mod tests {
    use super::super::control::ControlKind;
    use super::super::samples::sample;
    use super::*;

    fn control(id: u32, name: &str) -> Control {
        Control { id, ..sample(name, ControlKind::Integer) }
    }

    #[test]
    fn automatics_come_before_what_they_rule() {
        for (auto, ruled) in RULES {
            assert_eq!(Rank::of(&control(*auto, "x")), Rank::Auto);
            for id in *ruled {
                assert!(Rank::of(&control(*auto, "x")) < Rank::of(&control(*id, "y")));
            }
        }
        assert!(Rank::of(&control(v4l2::V4L2_CID_SCENE_MODE, "scene_mode")) < Rank::Auto);
        assert_eq!(Rank::of(&control(1, "skin_tone_automatic")), Rank::Auto);
        assert_eq!(Rank::of(&control(1, "skin_tone")), Rank::Value);
    }

    #[test]
    fn rulers_are_found_by_number_and_else_by_name() {
        let all = [
            control(v4l2::V4L2_CID_AUTOGAIN, "gain_automatic"),
            control(v4l2::V4L2_CID_GAIN, "gain"),
            control(7, "skin_tone_auto"),
            control(8, "skin_tone_level"),
            control(9, "auto"),
        ];
        let names = |control| rulers(control, &all).iter().map(|ruler| ruler.name.as_str()).collect::<Vec<_>>();
        assert_eq!(names(&all[1]), ["gain_automatic"]);
        assert_eq!(names(&all[3]), ["skin_tone_auto"]);
        assert_eq!(names(&all[0]), Vec::<&str>::new());
    }

    #[test]
    fn an_automatic_in_the_same_call_frees_what_it_rules() {
        let gain = Control { flags: ControlFlags::INACTIVE, ..control(v4l2::V4L2_CID_GAIN, "gain") };
        let all = [control(v4l2::V4L2_CID_AUTOGAIN, "gain_automatic"), gain];
        assert!(is_ruled(&all[1], &all, &["gain"]));
        assert!(!is_ruled(&all[1], &all, &["gain", "gain_automatic"]));
        assert!(!is_ruled(&all[0], &all, &[]));
    }
}
