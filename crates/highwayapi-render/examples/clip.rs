//! `clip FIRST LAST OUT [seconds [WIDTHxHEIGHT [seed]]]`: renders one clip and tells how long it took.

use std::time::Instant;

use highwayapi_render::{ClipSpec, Picture, Scene, Size};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [first, last, out, rest @ ..] = args.as_slice() else {
        return Err("usage: clip FIRST LAST OUT [seconds [WIDTHxHEIGHT [seed]]]".into());
    };
    let seconds = rest.first().map_or(Ok(8), |s| s.parse())?;
    let size = match rest.get(1).and_then(|s| s.split_once('x')) {
        Some((w, h)) => Size::new(w.parse()?, h.parse()?)?,
        None => Size::LANDSCAPE_720P,
    };
    let seed = rest.get(2).map_or(Ok(1), |s| s.parse())?;

    let start = Instant::now();
    let first = Picture::decode(&std::fs::read(first)?)?;
    let last = Picture::decode(&std::fs::read(last)?)?;
    let decoded = start.elapsed();
    let scene = Scene::new(&first, &last, size)?;
    let prepared = start.elapsed();
    let spec = ClipSpec { size, seconds, audio: true, seed };
    let clip = scene.render(&spec, &|_| {})?;
    let rendered = start.elapsed();
    std::fs::write(out, &clip)?;
    println!(
        "decode {decoded:.0?}, scale and flow {:.0?}, render {:.2?}: {} bytes",
        prepared - decoded,
        rendered - prepared,
        clip.len()
    );
    Ok(())
}
