// SPDX-License-Identifier: Apache-2.0
//! From what was asked for to what the driver is to be told, or to a refusal before it is.

use super::control::{Control, ControlFlags, ControlValue};
use super::error::ControlError;
use super::name::{nearest, normalise};
use super::order::{Rank, is_ruled, rulers};

/// What is wanted of a control.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Wish {
    /// This value.
    Value(ControlValue),
    /// What this text means to it ([`Control::parse`]).
    Written(String),
}

/// The control of a name, however its words are joined.
///
/// # Errors
/// [`ControlError::Unknown`] with names that are near.
pub fn find<'a>(all: &'a [Control], name: &str) -> Result<&'a Control, ControlError> {
    let normal = normalise(name);
    all.iter().find(|control| control.name == name || control.name == normal).ok_or_else(|| {
        let nearest = nearest(name, all.iter().map(|control| control.name.as_str()));
        ControlError::Unknown { name: name.to_owned(), nearest: nearest.into_iter().map(str::to_owned).collect() }
    })
}

/// What to set, in its order; all of it can be as far as the driver's own words go.
pub(super) fn plan<'a>(
    all: &'a [Control],
    wishes: &[(String, Wish)],
) -> Result<Vec<(&'a Control, ControlValue)>, ControlError> {
    let found: Vec<_> =
        wishes.iter().map(|(name, wish)| Ok((find(all, name)?, wish))).collect::<Result<_, ControlError>>()?;
    let names: Vec<&str> = found.iter().map(|(control, _)| control.name.as_str()).collect();
    let mut steps = Vec::with_capacity(found.len());
    for (index, (control, wish)) in found.iter().enumerate() {
        let name = control.name.clone();
        if names[..index].contains(&name.as_str()) {
            return Err(ControlError::Twice { name });
        }
        steps.push((*control, value(control, wish)?));
        if !control.is_settable() {
            return Err(ControlError::ReadOnly { name });
        }
        if control.flags.contains(ControlFlags::GRABBED) {
            return Err(ControlError::Grabbed { name });
        }
    }
    for (control, _) in &steps {
        if is_ruled(control, all, &steps) {
            let autos = rulers(control, all).iter().map(|ruler| ruler.name.clone()).collect();
            return Err(ControlError::Inactive { name: control.name.clone(), autos });
        }
    }
    steps.sort_by_key(|(control, _)| (Rank::of(control), control.id));
    Ok(steps)
}

fn value(control: &Control, wish: &Wish) -> Result<ControlValue, ControlError> {
    let value = match wish {
        Wish::Value(value) => control.check(value).map(|()| value.clone()),
        Wish::Written(text) => control.parse(text),
    };
    value.map_err(|source| ControlError::Value { name: control.name.clone(), source })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use v4l2r::bindings as v4l2;

    use super::super::control::ControlKind;
    use super::super::samples::{any_control, sample};
    use super::*;

    fn device() -> Vec<Control> {
        let control = |id, name: &str, kind| Control { id, ..sample(name, kind) };
        vec![
            control(v4l2::V4L2_CID_BRIGHTNESS, "brightness", ControlKind::Integer),
            control(v4l2::V4L2_CID_AUTOGAIN, "gain_automatic", ControlKind::Boolean),
            Control { flags: ControlFlags::INACTIVE, ..control(v4l2::V4L2_CID_GAIN, "gain", ControlKind::Integer) },
            Control { flags: ControlFlags::READ_ONLY, ..control(3, "temperature", ControlKind::Integer) },
            Control { flags: ControlFlags::GRABBED, ..control(4, "rotate", ControlKind::Integer) },
        ]
    }

    fn planned(wishes: &[(&str, &str)]) -> Result<Vec<String>, ControlError> {
        let wish = |(name, text): &(&str, &str)| ((*name).to_owned(), Wish::Written((*text).to_owned()));
        let wishes: Vec<_> = wishes.iter().map(wish).collect();
        let device = device();
        let steps = plan(&device, &wishes)?;
        Ok(steps.iter().map(|(control, value)| format!("{}={value}", control.name)).collect())
    }

    #[test]
    fn automatics_go_first_whatever_the_order() {
        for wishes in [[("gain", "50"), ("gain_automatic", "off")], [("Gain, Automatic", "off"), ("gain", "50")]] {
            assert_eq!(planned(&wishes), Ok(vec!["gain_automatic=0".to_owned(), "gain=50".to_owned()]));
        }
    }

    #[test]
    fn refusals_say_what_to_do() {
        let refused = |wishes: &[(&str, &str)]| planned(wishes).unwrap_err().to_string();
        assert_eq!(refused(&[("brigthness", "1")]), "there is no control 'brigthness': did you mean brightness?");
        assert_eq!(refused(&[("zoom", "1")]), "there is no control 'zoom'");
        assert_eq!(
            refused(&[("gain", "1")]),
            "control 'gain' is inactive: gain_automatic rules it; set that to manual first, or in the same call"
        );
        assert!(refused(&[("gain", "1"), ("gain_automatic", "on")]).contains("gain_automatic rules it"));
        assert!(refused(&[("temperature", "1")]).contains("only tells it"));
        assert!(refused(&[("rotate", "90")]).contains("stop its stream"));
        assert!(refused(&[("brightness", "1"), ("Brightness", "2")]).contains("two values"));
        assert_eq!(
            refused(&[("brightness", "1000")]),
            "control 'brightness': 1000 is out of range: it takes -128 to 255"
        );
    }

    proptest! {
        /// Whatever a device has and whoever asks: all of it in the right order, or nothing.
        #[test]
        fn all_or_nothing(mut all in proptest::collection::vec(any_control(), 0..8), numbers in proptest::collection::vec((0..8usize, any::<i64>()), 0..8)) {
            for (index, control) in all.iter_mut().enumerate() {
                control.name = format!("c{index}");
            }
            let wishes: Vec<_> = numbers.iter().map(|(index, n)| (format!("c{index}"), Wish::Value((*n).into()))).collect();
            if let Ok(steps) = plan(&all, &wishes) {
                prop_assert_eq!(steps.len(), wishes.len());
                prop_assert!(steps.is_sorted_by_key(|(control, _)| Rank::of(control)));
                for (control, value) in &steps {
                    prop_assert_eq!(control.check(value), Ok(()));
                    prop_assert!(control.is_settable());
                }
            }
        }
    }
}
