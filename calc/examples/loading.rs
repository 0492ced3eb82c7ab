//! Rows loaded into a cube from changes: how long it takes, and how much memory at most.
//!
//!     loading cells|records [ROWS [ROWS_A_CHANGE]] [shuffled]

use std::time::Instant;

use calc::Revision;
use cube::change::{MemberWrite, MembersWrite, RowsAction, RowsWrite};
use cube::model::{
    Consolidation, CubeDef, CubeKind, DimensionDef, KeyDef, MeasureDef, ModelChange,
};
use cube::number::Rounding;
use cube::value::{KeyPart, KeyType};
use cube::{Change, CubeId, DimensionId, MeasureId, MemberId, ValueType};

/// As in `perfos`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Read by the allocator when the program begins.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static ALLOCATOR_OPTIONS: &[u8; 31] = b"thp:always,metadata_thp:always\0";

/// Dimensions and their numbers of members.
const DIMENSIONS: [(&str, u64); 8] = [
    ("scenario", 3),
    ("product", 5_000),
    ("customer", 50_000),
    ("day", 730),
    ("channel", 8),
    ("warehouse", 40),
    ("currency", 12),
    ("promotion", 200),
];
const MEASURES: [(&str, u64); 9] = [
    ("quantity", 500),
    ("price", 1_000_000),
    ("revenue", 500_000_000),
    ("discount", 10_000),
    ("cost", 400_000_000),
    ("freight", 100_000),
    ("tax", 50_000_000),
    ("weight", 90_000),
    ("returns", 20),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Vec<u64> = arguments.iter().filter_map(|text| text.parse().ok()).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let (count, block) = (
        numbers.first().copied().unwrap_or(2_000_000),
        numbers.get(1).copied().unwrap_or(u64::MAX),
    );
    let is_records = has("records");
    let (mut revision, _) = Revision::default().apply(&model(is_records)).expect("a model");
    let mut changes = Vec::new();
    let mut first = 0;
    while first < count {
        let end = count.min(first.saturating_add(block));
        changes.push(rows(first..end, is_records, has("shuffled"), count));
        first = end;
    }
    // the kernel's account of the most memory begins anew
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let (resident, processor) = (memory("VmRSS:"), processor_seconds());
    let started = Instant::now();
    for change in &changes {
        revision = revision.apply(std::slice::from_ref(change)).expect("rows").0;
    }
    let (time, processor) = (started.elapsed().as_secs_f64(), processor_seconds() - processor);
    let rows = revision.version.rows(CubeId(0));
    println!(
        "loading rows={} load_s={time:.3} cpu_s={processor:.2} rows_a_s={:.0} changes_mb={resident} peak_more_mb={} cube_mb={} hash={:.16}",
        rows.row_count(),
        count as f64 / time,
        memory("VmHWM:").saturating_sub(resident),
        rows.size_bytes() >> 20,
        revision.version.state_hash().to_string(),
    );
}

fn model(is_records: bool) -> Vec<Change> {
    let dimension = |(name, _): &(&str, u64)| DimensionDef {
        name: (*name).into(),
        description: String::new(),
        key_type: KeyType::Text,
        attributes: Vec::new(),
        levels: Vec::new(),
        hierarchies: Vec::new(),
        calendar: None,
    };
    let measure = |(name, _): &(&str, u64)| MeasureDef {
        name: (*name).into(),
        description: String::new(),
        value_type: ValueType::Decimal { precision: 18, scale: 2 },
        consolidation: Consolidation::Sum,
        rounding: Rounding::default(),
        time: None,
    };
    let key = KeyDef { name: "line".into(), key_type: KeyType::Integer };
    let cube = CubeDef {
        name: "sales".into(),
        description: String::new(),
        kind: if is_records { CubeKind::Records } else { CubeKind::Cells },
        dimensions: DIMENSIONS.iter().map(|(name, _)| (*name).into()).collect(),
        key: is_records.then_some(key).into_iter().collect(),
        measures: MEASURES.iter().map(measure).collect(),
    };
    let members = |(id, (name, count)): (u32, &(&str, u64))| {
        let member = |n| MemberWrite { key: format!("{name}-{n:05}"), ..MemberWrite::default() };
        Change::Members(MembersWrite {
            dimension: DimensionId(id),
            first_new: MemberId(0),
            members: (0..*count).map(member).collect(),
        })
    };
    let definitions = DIMENSIONS.iter().map(|d| ModelChange::AddDimension(dimension(d)));
    let definitions = definitions.chain([ModelChange::AddCube(cube)]).map(Change::Model);
    definitions.chain((0..).zip(&DIMENSIONS).map(members)).collect()
}

/// A number below `n` that depends on a kind and a place alone.
fn draw(kind: u64, place: u64, n: u64) -> u64 {
    let mut x = ((kind << 40) + place + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (((x ^ (x >> 31)) >> 33) * n) >> 31
}

/// Rows by their numbers. No two have the same scenario, product and customer.
fn rows(numbers: std::ops::Range<u64>, is_records: bool, is_shuffled: bool, count: u64) -> Change {
    let (mut keys, mut coordinates, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for number in numbers {
        // odd and larger than any number of rows: each comes once
        let place = if is_shuffled { number * 1_000_000_007 % count } else { number };
        let spread = place * (750_000_000 / count.min(750_000_000));
        if is_records {
            keys.push(KeyPart::Integer(place as i64));
        }
        let first = [spread / 250_000_000, spread / 50_000 % 5_000, spread % 50_000];
        let others = DIMENSIONS.iter().enumerate().skip(3);
        let others = others.map(|(kind, (_, members))| draw(kind as u64, place, *members));
        coordinates.extend(first.into_iter().chain(others).map(|member| MemberId(member as u32)));
        values.extend(MEASURES.iter().enumerate().map(|(kind, (_, n))| {
            // the last one is often blank
            let value = draw(20 + kind as u64, place, *n) as i64;
            (kind < 8 || value < 4).then_some(value)
        }));
    }
    #[allow(clippy::useless_conversion)]
    Change::Rows(RowsWrite {
        cube: CubeId(0),
        action: RowsAction::Set,
        measures: (0..MEASURES.len() as u32).map(MeasureId).collect(),
        keys,
        coordinates,
        values: values.into(),
    })
}

/// Processor time of this process so far.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Memory of this process in megabytes, by the kernel's count.
fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let text = status.lines().find_map(|text| text.strip_prefix(line)).unwrap_or_default();
    text.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) >> 10
}
