//! What clients list: catalogs, schemas, tables, what the server can. Keys there are none.

use std::sync::Arc;

use arrow_flight::{
    error::FlightError,
    sql::{
        CommandGetCatalogs, CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys,
        CommandGetImportedKeys, CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTableTypes,
        CommandGetTables, CommandGetXdbcTypeInfo, SqlInfo,
        metadata::{SqlInfoData, SqlInfoDataBuilder, XdbcTypeInfoData, XdbcTypeInfoDataBuilder},
    },
};
use datafusion::arrow::{
    array::RecordBatch,
    datatypes::{DataType, Field, Schema},
};

use crate::engine::{CATALOG, SCHEMA, tables};

type Listed = Result<RecordBatch, FlightError>;

/// The one kind of table there is.
const TABLE: &str = "TABLE";

pub(super) struct Lists {
    version: String,
}

impl Lists {
    pub(super) fn new(version: &str) -> Self {
        Lists { version: version.to_owned() }
    }

    pub(super) fn catalogs(&self, query: CommandGetCatalogs) -> Listed {
        let mut builder = query.into_builder();
        builder.append(CATALOG);
        builder.build()
    }

    pub(super) fn schemas(&self, query: CommandGetDbSchemas) -> Listed {
        let mut builder = query.into_builder();
        builder.append(CATALOG, SCHEMA);
        builder.build()
    }

    pub(super) fn tables(&self, query: CommandGetTables) -> Listed {
        let mut builder = query.into_builder();
        for (name, schema) in tables() {
            builder.append(CATALOG, SCHEMA, name, TABLE, &schema)?;
        }
        builder.build()
    }

    pub(super) fn table_types(&self, query: CommandGetTableTypes) -> Listed {
        let mut builder = query.into_builder();
        builder.append(TABLE);
        builder.build()
    }

    pub(super) fn sql_info(&self, query: CommandGetSqlInfo) -> Listed {
        let known = self.known()?;
        query.into_builder(&known).build()
    }

    fn known(&self) -> Result<SqlInfoData, FlightError> {
        let mut known = SqlInfoDataBuilder::new();
        known.append(SqlInfo::FlightSqlServerName, "Orrery");
        known.append(SqlInfo::FlightSqlServerVersion, self.version.as_str());
        known.append(SqlInfo::FlightSqlServerArrowVersion, "1.3");
        known.append(SqlInfo::FlightSqlServerReadOnly, true);
        known.append(SqlInfo::FlightSqlServerSql, true);
        known.append(SqlInfo::FlightSqlServerSubstrait, false);
        // No transactions, and cancelling is closing the stream.
        known.append(SqlInfo::FlightSqlServerTransaction, 0i32);
        known.append(SqlInfo::FlightSqlServerCancel, false);
        known.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
        known.build()
    }

    pub(super) fn types(&self, query: CommandGetXdbcTypeInfo) -> Listed {
        let none: XdbcTypeInfoData = XdbcTypeInfoDataBuilder::new().build()?;
        query.into_builder(&none).build()
    }

    pub(super) fn primary_keys(&self, _: CommandGetPrimaryKeys) -> Listed {
        let text = |name| Field::new(name, DataType::Utf8, true);
        Ok(RecordBatch::new_empty(Arc::new(Schema::new(vec![
            text("catalog_name"),
            text("db_schema_name"),
            Field::new("table_name", DataType::Utf8, false),
            Field::new("column_name", DataType::Utf8, false),
            text("key_name"),
            Field::new("key_sequence", DataType::Int32, false),
        ]))))
    }

    pub(super) fn exported_keys(&self, _: CommandGetExportedKeys) -> Listed {
        no_foreign_keys()
    }

    pub(super) fn imported_keys(&self, _: CommandGetImportedKeys) -> Listed {
        no_foreign_keys()
    }

    pub(super) fn cross_reference(&self, _: CommandGetCrossReference) -> Listed {
        no_foreign_keys()
    }
}

fn no_foreign_keys() -> Listed {
    let mut fields = Vec::new();
    for side in ["pk", "fk"] {
        fields.push(Field::new(format!("{side}_catalog_name"), DataType::Utf8, true));
        fields.push(Field::new(format!("{side}_db_schema_name"), DataType::Utf8, true));
        fields.push(Field::new(format!("{side}_table_name"), DataType::Utf8, false));
        fields.push(Field::new(format!("{side}_column_name"), DataType::Utf8, false));
    }
    fields.push(Field::new("key_sequence", DataType::Int32, false));
    fields.push(Field::new("fk_key_name", DataType::Utf8, true));
    fields.push(Field::new("pk_key_name", DataType::Utf8, true));
    fields.push(Field::new("update_rule", DataType::UInt8, false));
    fields.push(Field::new("delete_rule", DataType::UInt8, false));
    Ok(RecordBatch::new_empty(Arc::new(Schema::new(fields))))
}
