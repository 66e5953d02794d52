// SPDX-License-Identifier: Apache-2.0
//! Which control rules which, and the order in which they are set.
//!
//! A scene mode changes automatics, an automatic decides about values: so scene modes come
//! first, then automatics, then the rest. What rules what is written in the kernel's
//! documents control by control ("User Controls", "Camera Control Reference"); of drivers' own
//! controls the name must do.

use v4l2r::bindings as v4l2;

use super::control::{Control, ControlFlags, ControlKind, ControlValue};

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

/// Whether a control has no effect when `changed` are set with it: an automatic among them decides,
/// else it is as it was.
pub(super) fn is_ruled(control: &Control, all: &[Control], changed: &[(&Control, ControlValue)]) -> bool {
    let rulers = rulers(control, all);
    let mut decides = changed.iter().filter(|(ruler, _)| rulers.iter().any(|known| known.id == ruler.id)).peekable();
    if decides.peek().is_none() {
        return control.flags.contains(ControlFlags::INACTIVE);
    }
    decides.any(|(ruler, value)| rules(ruler, value, control))
}

/// Whether an automatic that is set to `value` rules a control.
fn rules(auto: &Control, value: &ControlValue, control: &Control) -> bool {
    let &ControlValue::Number(value) = value else { return false };
    let iris = [v4l2::V4L2_CID_IRIS_ABSOLUTE, v4l2::V4L2_CID_IRIS_RELATIVE].contains(&control.id);
    match auto.id {
        // "Camera Control Reference": what is not automatic has the priority.
        v4l2::V4L2_CID_EXPOSURE_AUTO => match u32::try_from(value) {
            Ok(v4l2::v4l2_exposure_auto_type_V4L2_EXPOSURE_AUTO) => true,
            Ok(v4l2::v4l2_exposure_auto_type_V4L2_EXPOSURE_SHUTTER_PRIORITY) => iris,
            Ok(v4l2::v4l2_exposure_auto_type_V4L2_EXPOSURE_APERTURE_PRIORITY) => !iris,
            _ => false,
        },
        // Of a driver's own menu nobody knows which entry is the manual one.
        _ if auto.kind == ControlKind::Boolean || RULES.iter().any(|(known, _)| *known == auto.id) => value != 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
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
        let ruled = |control: &Control, changed: &[(&Control, i64)]| {
            let changed: Vec<_> = changed.iter().map(|(c, value)| (*c, ControlValue::Number(*value))).collect();
            is_ruled(control, &all, &changed)
        };
        assert!(ruled(&all[1], &[(&all[1], 50)]));
        assert!(!ruled(&all[1], &[(&all[1], 50), (&all[0], 0)]));
        assert!(ruled(&all[1], &[(&all[1], 50), (&all[0], 1)]));
        assert!(!ruled(&all[0], &[]));
    }

    #[test]
    fn an_automatic_that_is_switched_on_rules_what_was_free() {
        let all = [
            control(v4l2::V4L2_CID_EXPOSURE_AUTO, "auto_exposure"),
            control(v4l2::V4L2_CID_EXPOSURE_ABSOLUTE, "exposure_time_absolute"),
            control(v4l2::V4L2_CID_IRIS_ABSOLUTE, "iris_absolute"),
        ];
        let ruled = |value: i64| {
            let changed = [(&all[0], ControlValue::Number(value))];
            (is_ruled(&all[1], &all, &changed), is_ruled(&all[2], &all, &changed))
        };
        assert_eq!([0, 1, 2, 3].map(ruled), [(true, true), (false, false), (false, true), (true, false)]);
    }
}
