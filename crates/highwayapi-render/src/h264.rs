//! H.264 by OpenH264, one closed group of pictures at a time.

use openh264::OpenH264API;
use openh264::Timestamp;
use openh264::encoder::{
    BitRate, Complexity, Encoder, EncoderConfig, FrameRate, IntraFramePeriod, QpRange, RateControlMode, VuiConfig,
};
use openh264::formats::YUVSlices;

use crate::scale::Frame;
use crate::spec::{FPS, Size};

/// Constant quantiser, finest first. OpenH264's output buffer holds one raw frame's worth of bits:
/// noise overflows it at 20, and only a coarser step helps.
pub(crate) const QP_LADDER: [u8; 5] = [20, 24, 28, 32, 36];

/// Encoded frames, the first one an IDR that nothing before is needed for.
#[derive(Default)]
pub(crate) struct Gop {
    pub(crate) sps: Vec<u8>,
    pub(crate) pps: Vec<u8>,
    /// NAL units with four bytes of length each, frame after frame.
    pub(crate) data: Vec<u8>,
    /// The bytes of each frame.
    pub(crate) sizes: Vec<u32>,
}

/// One encoder for one group.
pub(crate) struct GopEncoder {
    encoder: Encoder,
    size: Size,
    gop: Gop,
}

impl GopEncoder {
    pub(crate) fn new(size: Size, qp: u8) -> Result<Self, openh264::Error> {
        let config = EncoderConfig::new()
            .max_frame_rate(FrameRate::from_hz(FPS as f32))
            // The only mode that keeps the quantiser constant and stderr quiet.
            .rate_control_mode(RateControlMode::Bufferbased)
            .qp(QpRange::new(qp, qp))
            .bitrate(BitRate::from_bps(10_000_000))
            .skip_frames(false)
            .complexity(Complexity::Low)
            .num_threads(1)
            .vui(VuiConfig::bt709())
            .scene_change_detect(false)
            .background_detection(false)
            .adaptive_quantization(false)
            .intra_frame_period(IntraFramePeriod::from_num_frames(0));
        let encoder = Encoder::with_api_config(OpenH264API::from_source(), config)?;
        Ok(Self { encoder, size, gop: Gop::default() })
    }

    pub(crate) fn push(&mut self, frame: &Frame) -> Result<(), openh264::Error> {
        let (w, h) = self.size.dims();
        let planes = YUVSlices::new((&frame.y, &frame.u, &frame.v), (w, h), (w, w / 2, w / 2));
        let index = self.gop.sizes.len() as u64;
        let time = Timestamp::from_millis(index * 1000 / u64::from(FPS));
        let stream = self.encoder.encode_at(&planes, time)?;
        let before = self.gop.data.len();
        let layers = (0..stream.num_layers()).filter_map(|i| stream.layer(i));
        for layer in layers {
            for nal in (0..layer.nal_count()).filter_map(|i| layer.nal_unit(i)) {
                self.gop.take(nal);
            }
        }
        self.gop.sizes.push((self.gop.data.len() - before) as u32);
        Ok(())
    }

    pub(crate) fn finish(self) -> Gop {
        self.gop
    }
}

impl Gop {
    fn take(&mut self, annex_b: &[u8]) {
        // A start code is zeros and a one.
        let Some(one) = annex_b.iter().position(|&b| b != 0) else { return };
        let nal = &annex_b[one + 1..];
        match nal.first().map(|head| head & 31) {
            Some(7) => self.sps = nal.to_vec(),
            Some(8) => self.pps = nal.to_vec(),
            Some(_) => {
                self.data.extend((nal.len() as u32).to_be_bytes());
                self.data.extend(nal);
            }
            None => {}
        }
    }
}
