datacatalog.modules = base pb flyte api rpc http config service db store metrics loop
