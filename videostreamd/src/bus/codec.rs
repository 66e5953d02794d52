// SPDX-License-Identifier: Apache-2.0
//! Codec sessions: what is asked of them, and what came of it, as dictionaries.

use vs_codec::{Backend, DecoderConfig, Effective, RateControl};
use vs_frame::{Colorimetry, Format, FourCc, Rate};
use vs_ipc::exchange::{Credits, DEFAULT_CREDITS, MAX_CREDITS};
use zbus::message::Header;
use zbus::zvariant::Value;
use zbus::{Connection, fdo};

use super::dict::{Dict, dict};
use super::error::Error;
use super::options::{OF_ENCODERS, Options, bad};
use crate::codec_session::{DecoderWish, EncoderWish, Opened, Owner, Snapshot, keyframe_interval_ns};
use crate::rendition::Coding;

const NUMBER: &str = "an unsigned 32-bit number (u)";
const PAIR: &str = "a pair of unsigned numbers (uu)";

/// The options of `OpenEncoder`.
pub(super) fn encoder(options: Dict) -> Result<EncoderWish, Error> {
    let mut options = Options::new(options);
    let input = input(&mut options)?;
    let Coding { config, backend } = options.coding()?.over(&Coding::default()).map_err(bad)?;
    let wish = EncoderWish { input, config, backend, credits: credits(&mut options)? };
    options.finish(&format!("OpenEncoder knows format, size, rate, color, inputs, outputs, {OF_ENCODERS}"))?;
    Ok(wish)
}

/// The options of `OpenDecoder`.
pub(super) fn decoder(options: Dict) -> Result<DecoderWish, Error> {
    let mut options = Options::new(options);
    let formats = options.take::<Vec<String>>("formats", "an array of strings (as)")?.unwrap_or_default();
    let parse = |text: &String| text.parse::<FourCc>().map_err(|error| bad(format!("option 'formats': {error}")));
    let config = DecoderConfig {
        size: options.take::<(u32, u32)>("size", PAIR)?,
        formats: formats.iter().map(parse).collect::<Result<_, _>>()?,
        ..DecoderConfig::new(options.take_text("codec")?.unwrap_or(FourCc::H264))
    };
    let backend = options.take_text::<Backend>("backend")?.unwrap_or_default();
    let wish = DecoderWish { config, backend, credits: credits(&mut options)? };
    options.finish("OpenDecoder knows codec, size, formats, backend, inputs and outputs")?;
    Ok(wish)
}

/// The pictures that will come.
fn input(options: &mut Options) -> Result<Format, Error> {
    let missing = |name| bad(format!("option '{name}' is missing: an encoder must know its pictures"));
    let fourcc = options.take_text::<FourCc>("format")?.ok_or_else(|| missing("format"))?;
    let (width, height) = options.take::<(u32, u32)>("size", PAIR)?.ok_or_else(|| missing("size"))?;
    let rate = match options.take::<(u32, u32)>("rate", PAIR)? {
        None => Rate::UNKNOWN,
        Some((num, den)) => {
            Rate::new(num, den).ok_or_else(|| bad(format!("option 'rate': {num}/{den} is not a frame rate")))?
        }
    };
    let format = Format::packed(fourcc, width, height, rate).map_err(|error| Error::BadFormat(error.to_string()))?;
    let color = match options.take::<(u8, u8, u8, u8)>("color", "four bytes (yyyy)")? {
        None => format.color,
        Some((colorspace, transfer, encoding, quantization)) => {
            Colorimetry { colorspace, transfer, encoding, quantization }
        }
    };
    Ok(Format { color, ..format })
}

fn credits(options: &mut Options) -> Result<Credits, Error> {
    let mut take = |name: &str| {
        let number = options.take::<u32>(name, NUMBER)?.unwrap_or(u32::from(DEFAULT_CREDITS));
        let number = u16::try_from(number).ok().filter(|number| (1..=MAX_CREDITS).contains(number));
        number.ok_or_else(|| bad(format!("option '{name}': from 1 to {MAX_CREDITS} frames may be lent at once")))
    };
    Ok(Credits { inputs: take("inputs")?, outputs: take("outputs")? })
}

/// What the caller is told of its session.
pub(super) fn info(opened: &Opened) -> Dict {
    let Opened { name, backend, reason, effective, credits } = opened;
    let mut info = dict([
        ("name", Value::from(name.clone())),
        ("backend", Value::from(backend.to_string())),
        ("reason", Value::from(reason.clone())),
        ("inputs", Value::from(u32::from(credits.inputs))),
        ("outputs", Value::from(u32::from(credits.outputs))),
    ]);
    if let Some(effective) = effective {
        info.extend(encoding(effective));
    }
    info
}

fn encoding(effective: &Effective) -> Dict {
    let mut encoding = dict([
        ("codec", Value::from(effective.codec.to_string())),
        ("size", Value::from((effective.width, effective.height))),
        ("keyframe-interval", Value::from(keyframe_interval_ns(effective))),
    ]);
    let (mode, amount) = match effective.rate_control {
        RateControl::Vbr(bitrate) => ("vbr", ("bitrate", Value::from(u64::from(bitrate.bits())))),
        RateControl::Cbr(bitrate) => ("cbr", ("bitrate", Value::from(u64::from(bitrate.bits())))),
        RateControl::Quality(quality) => ("quality", ("quality", Value::from(u32::from(quality.get())))),
    };
    encoding.extend(dict([("rate-control", Value::from(mode)), amount]));
    if let Some(profile) = effective.profile {
        encoding.extend(dict([("profile", Value::from(profile.to_string()))]));
    }
    if let Some(level) = effective.level {
        encoding.extend(dict([("level", Value::from(level.to_string()))]));
    }
    encoding
}

/// What everybody is told of a session.
pub(super) fn snapshot(session: &Snapshot) -> Dict {
    let (name, backend) =
        session.backend.as_ref().map_or((String::new(), String::new()), |(n, b)| (n.clone(), b.to_string()));
    let mut entry = dict([
        ("number", Value::from(session.number)),
        ("kind", Value::from(session.kind)),
        ("codec", Value::from(session.codec.to_string())),
        ("name", Value::from(name)),
        ("backend", Value::from(backend)),
        ("inputs", Value::from(session.inputs)),
        ("outputs", Value::from(session.outputs)),
        ("lost", Value::from(session.lost)),
    ]);
    if let Some(uid) = session.owner.uid {
        entry.extend(dict([("uid", Value::from(uid))]));
    }
    if let Some(pid) = session.owner.pid {
        entry.extend(dict([("pid", Value::from(pid))]));
    }
    entry
}

/// Who calls, as the bus knows it.
pub(super) async fn owner(connection: &Connection, header: &Header<'_>) -> Result<Owner, Error> {
    let Some(sender) = header.sender() else { return Ok(Owner::default()) };
    let bus = fdo::DBusProxy::new(connection).await?;
    let known = bus.get_connection_credentials(sender.clone().into()).await;
    let known = known.map_err(|error| Error::Failed(format!("the bus does not tell who calls: {error}")))?;
    Ok(Owner { uid: known.unix_user_id(), pid: known.process_id() })
}
