//! The `awsemf` exporter's encoder: batches to `PutLogEvents` bodies.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use exporter::awsemf::{AwsEmfConfig, Translator};
use exporter::cloudwatch::{Batcher, CloudWatchSettings, Request, Target};
use proto::{Batch, BuildContext, Counter};

pub(crate) struct Encoder {
    translator: Translator,
    batcher: Batcher,
    requests: Vec<Request>,
}

impl Encoder {
    /// For an `awsemf` section.
    pub(crate) fn new(section: &str) -> Encoder {
        let context = BuildContext::for_test("awsemf");
        let (config, found) = config::decode_str::<AwsEmfConfig>(section);
        let (settings, more) = config.unwrap_or_else(|| panic!("{found:?}")).check(&context);
        let settings = settings.unwrap_or_else(|| panic!("{more:?}"));
        let batcher = Target::cloudwatch(CloudWatchSettings::default(), &context).batcher();
        Encoder {
            translator: Translator::new(Arc::new(settings), "awsemf", Counter::default(), batcher.form()),
            batcher,
            requests: Vec::new(),
        }
    }

    /// Encodes a batch; gives the number of its points that are in requests, and lets go of these.
    pub(crate) fn encode(&mut self, batch: &Batch) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as i64);
        self.batcher.begin(now);
        let encoded = self.translator.translate(batch, &mut self.batcher);
        self.batcher.finish(&mut self.requests);
        self.requests.clear();
        encoded.kept
    }
}
