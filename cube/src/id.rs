//! Newtypes for every identity. An id is a position that is never used again for something else.

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u32);

        impl $name {
            /// The id as a position in a vector.
            pub fn idx(self) -> usize {
                self.0 as usize
            }

            /// The id of a position in a vector.
            pub fn from_idx(idx: usize) -> Self {
                Self(u32::try_from(idx).expect("fewer than 2^32 of anything"))
            }
        }
    };
}

id!(
    /// A dimension of the tenant.
    DimensionId
);
id!(
    /// A member of one dimension; dense, allocated tenant-wide, never reused.
    MemberId
);
id!(
    /// A cube of the tenant.
    CubeId
);
id!(
    /// A measure of one cube.
    MeasureId
);
id!(
    /// An attribute of one dimension.
    AttributeId
);
id!(
    /// A hierarchy of one dimension.
    HierarchyId
);
id!(
    /// A level of one dimension.
    LevelId
);

impl MemberId {
    /// Stands for "no member" in dense arrays; never the id of a member.
    pub const NONE: MemberId = MemberId(u32::MAX);
}
